package middleware

import (
	"testing"
	"time"
)

// What other processes, their logs, and clients with tokens of another version of the program hold
// against what this one makes.
func TestNamesAndTokensStay(t *testing.T) {
	const key = "GET https://a.example/x?y=1"
	debugKey := []byte("0123456789abcdef")
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	token, err := DebugToken(debugKey, "A.example", "/x", now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ what, got, want, why string }{
		{"the name of a run's lease", leaseName(key), "67e156ab08f361d3f4af6482de94ecdb",
			"two versions would run it twice"},
		{"the words of notices", noticeWaits + noticeStored + noticeEnded, "?+-",
			"another version would not hear that a run has ended"},
		{"the hash of a key in logs", (&Event{key: key}).KeyHash(), "67e156ab08f361d3",
			"lines of two versions would not be found together"},
		{"a debug token", token, "1.1796043600.WDZIQcvv6a4y_iIknTwdFkj5YG0LZxJSSOUdLGYTQDc",
			"another version would not take it"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %s, want %s: %s", tt.what, tt.got, tt.want, tt.why)
		}
	}
	if !goodToken(debugKey, token, "a.example", "/x", now) {
		t.Error("the debug token is not good here")
	}
}
