package writetoken

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

var (
	now    = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	first  = bytes.Repeat([]byte("a"), MinKey)
	second = bytes.Repeat([]byte("b"), MinKey)
)

func signer(name string, keys ...[]byte) *Signer {
	return &Signer{Name: name, Keys: keys, Life: time.Minute}
}

func TestATokenSaysWhatWasSigned(t *testing.T) {
	s := signer("written", first)
	for _, token := range []Token{{}, {Number: 17}, {Unsent: 1796040007},
		{Number: math.MaxUint64, Unsent: math.MaxInt64}} {
		text := s.Sign(token, now)
		token.Expires = now.Unix() + 60
		if got, ok := s.Verify(text, now); !ok || got != token {
			t.Errorf("%q says %+v, %v; want %+v", text, got, ok, token)
		}
	}
}

func TestWhenATokenIsGood(t *testing.T) {
	s := signer("written", first)
	text := s.Sign(Token{Number: 1}, now.Add(time.Millisecond))
	for at, wanted := range map[time.Duration]bool{
		0: true, 60 * time.Second: true, 61 * time.Second: false, time.Hour: false,
		-59 * time.Second: true, // the clock of the process that verifies is slow
		-61 * time.Second: false, -time.Hour: false,
	} {
		if _, ok := s.Verify(text, now.Add(at)); ok != wanted {
			t.Errorf("good %v after it was signed: %v, want %v", at, ok, wanted)
		}
	}
}

func TestKeysAreChanged(t *testing.T) {
	before, both, after := signer("w", first), signer("w", second, first), signer("w", second)
	for _, tt := range []struct {
		story         string
		signs, checks *Signer
		wanted        bool
	}{
		{"an old token, while the key changes", before, both, true},
		{"a new token, while the key changes", both, after, true},
		{"an old token, once the old key is gone", before, after, false},
		{"a new token, at a process without the new key", both, before, false},
		{"a token of another cookie", signer("v", first), before, false},
	} {
		text := tt.signs.Sign(Token{Number: 7}, now)
		if _, ok := tt.checks.Verify(text, now); ok != tt.wanted {
			t.Errorf("%s: good %v, want %v", tt.story, ok, tt.wanted)
		}
	}
}

func TestWhatIsNoToken(t *testing.T) {
	s := signer("written", first)
	good := s.Sign(Token{Number: 17}, now)
	parts := strings.Split(good, ".")
	with := func(at int, part string) string {
		changed := append([]string(nil), parts...)
		changed[at] = part
		return strings.Join(changed, ".")
	}
	for story, text := range map[string]string{
		"nothing": "", "dots": "....", "one half": good[:len(good)/2], "one byte less": good[:len(good)-1],
		"one byte more": good + "A", "one part more": good + ".", "a space": " " + good,
		"a line end":               good + "\n",
		"another version":          with(0, "2"),
		"another number":           with(1, "18"),
		"the same number, longer":  with(1, "017"),
		"no number":                with(1, ""),
		"a number below 0":         with(1, "-1"),
		"unsent":                   with(2, "1796040060"),
		"a longer life":            with(3, "1796040100"),
		"no end":                   with(3, ""),
		"no signature":             with(4, ""),
		"a signature without bits": with(4, strings.Repeat("A", 43)),
		"a megabyte":               good + strings.Repeat("A", 1<<20),
	} {
		if got, ok := s.Verify(text, now); ok || got != (Token{}) {
			t.Errorf("%s: %.80q: good %v, and says %+v", story, text, ok, got)
		}
	}
}

// Only what Sign makes is good, to the byte.
func FuzzVerify(f *testing.F) {
	s := signer("written", first, second)
	good := s.Sign(Token{Number: 17, Unsent: 5}, now)
	f.Add(good)
	f.Add(good + "\n")
	f.Add(s.Sign(Token{}, now))
	f.Add("1.17.0.1796040060.AAAA")
	f.Add("1..-1..=")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := s.Verify(text, now)
		if !ok {
			if got != (Token{}) {
				t.Errorf("%q is none, and says %+v", text, got)
			}
			return
		}
		at := time.Unix(got.Expires, 0).Add(-s.Life)
		for _, key := range s.Keys {
			if signer("written", key).Sign(got, at) == text {
				return
			}
		}
		t.Errorf("%q is good, and was never signed", text)
	})
}

// A token of another version of the program is good here: clients keep theirs for its life. A
// change takes a new version.
func TestTheFormatStays(t *testing.T) {
	s := signer("written", first)
	token := Token{Number: 17, Unsent: 1796040007, Expires: now.Unix() + 60}
	const want = "1.17.1796040007.1796040060.XNmJqjcjU4RGkKUWUqVZ_8hBiH-ITtXLNf7tOQtMO80"
	if got := s.Sign(token, now); got != want {
		t.Errorf("written as %s, want %s", got, want)
	}
	if got, ok := s.Verify(want, now); got != token || !ok {
		t.Errorf("read as %+v, %t", got, ok)
	}
}
