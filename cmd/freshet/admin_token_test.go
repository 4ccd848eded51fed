package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A token that was rotated is the one that counts within a second, and with SIGHUP at once. One that
// is wrong does not, and the log says so once for each change, without a token.
func TestTheDoorsTokenIsReadAnew(t *testing.T) {
	const first, second, third = "the-first-of-the-tokens", "the-second-of-the-tokens",
		"the-third-of-the-tokens"
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, []byte(first+"\n"))
	var log bytes.Buffer
	f := &adminFlags{address: "127.0.0.1:1", tokenFile: file}
	if err := f.check(nil, "", ""); err != nil {
		t.Fatal(err)
	}
	token := newAdminToken(f, slog.New(slog.NewTextHandler(&log, nil)))
	now := time.Now()
	enters := func(want string, lines int) {
		t.Helper()
		for _, each := range []string{first, second, third, "short"} {
			r, _ := http.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+each)
			if got := token.current(now)(r); got != (each == want) {
				t.Errorf("%s: %t, and %s is the token", each, got, want)
			}
		}
		if got := strings.Count(log.String(), "\n"); got != lines {
			t.Errorf("the log has %d lines, want %d:\n%s", got, lines, &log)
		}
	}
	enters(first, 0)
	write(t, file, []byte(second+"\n"))
	enters(first, 0)
	now = now.Add(lookEvery)
	enters(second, 1)
	for i, wrong := range []string{"short\n", "two words of a token\n", ""} {
		write(t, file, []byte(wrong))
		now = now.Add(lookEvery)
		enters(second, 2+i)
		now = now.Add(lookEvery)
		enters(second, 2+i)
	}
	os.Remove(file)
	token.reread()
	enters(second, 5)
	write(t, file, []byte(third))
	token.reread()
	enters(third, 6)
	if said := log.String(); strings.Contains(said, "of-the-tokens") ||
		strings.Count(said, "the door's token was read anew") != 2 ||
		strings.Count(said, "stays in use") != 4 {
		t.Errorf("the log says\n%s", said)
	}
}
