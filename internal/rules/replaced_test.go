package rules

import (
	"fmt"
	"net/http"
	"testing"
)

// What a handler did to outer fields is noted only where a hit would show it otherwise.
func TestNoteReplaced(t *testing.T) {
	for _, c := range []struct {
		why         string
		stored, own http.Header
		name        string
		noted       bool
	}{
		{"of several values", http.Header{"Link": {"a"}}, http.Header{"Link": {"a"}}, "Link", true},
		{"of one value, which takes its place", http.Header{"Server": {"a"}},
			http.Header{"Server": {"a"}}, "Server", false},
		{"removed", http.Header{}, http.Header{}, "Server", true},
		{"removed, of several values", http.Header{}, http.Header{}, "Link", true},
		{"removed, spelled otherwise", http.Header{}, http.Header{}, "server", true},
		{"not stored", http.Header{}, http.Header{"Set-Cookie": {"a=1"}}, "Set-Cookie", false},
	} {
		NoteReplaced(c.stored, c.own, []string{c.name})
		field, noted := "", false
		for name, values := range c.stored {
			if removed, is := Removes(name, values); is {
				field, noted = removed, true
			}
		}
		if noted != c.noted || noted && field != http.CanonicalHeaderKey(c.name) {
			t.Errorf("%s: noted %q, %v; want %v", c.why, field, noted, c.noted)
		}
		if AddsTo(c.stored, c.name) && c.noted {
			t.Errorf("%s: it adds to what it has replaced", c.why)
		}
	}
}

// A note is a field without a value, and has another field's name behind its prefix: all else is
// the handler's own.
func TestWhatIsNoNote(t *testing.T) {
	for _, name := range []string{"Freshet-Replaces-", "Freshet-Replaces", "Link", ""} {
		if _, is := Removes(name, nil); is {
			t.Errorf("%q is taken for a note", name)
		}
	}
	if _, is := Removes("Freshet-Replaces-Link", []string{""}); is {
		t.Error("a field that is sent is taken for a note")
	}
}

// Each field of which there may be several adds to what stands outside, and finds the very note
// that is written.
func TestAddsTo(t *testing.T) {
	several := 0
	for _, name := range []string{
		"Vary", "Set-Cookie", "Link", "Cache-Status", "Content-Security-Policy",
		"Content-Security-Policy-Report-Only",
		"Permissions-Policy", "Server-Timing", "Access-Control-Expose-Headers", "Via",
		"Www-Authenticate", "Etag", "Server",
	} {
		h := http.Header{name: {"a"}}
		if !AddsTo(h, name) {
			continue
		}
		several++
		if NoteReplaced(h, h, []string{name}); AddsTo(h, name) {
			t.Errorf("%s is noted, and added all the same: %v", name, fmt.Sprint(h))
		}
	}
	if several != 11 {
		t.Errorf("%d fields are added, want 11", several)
	}
	h := http.Header{"Content-Security-Policy-Report-Only": {"a"}}
	if n := testing.AllocsPerRun(100, func() { AddsTo(h, "Content-Security-Policy-Report-Only") }); n > 0 {
		t.Errorf("it allocates %v times", n)
	}
}
