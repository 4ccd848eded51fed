package rules

import (
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// What has no end is never stored; what may have none is by its own word alone.
func TestAdmitStreams(t *testing.T) {
	for _, s := range []struct {
		contentType, says string
		stored            bool
	}{
		{"text/event-stream", "", false},
		{"text/event-stream", "public, max-age=60", false},
		{"Text/Event-Stream; charset=utf-8", "max-age=60", false},
		{"multipart/x-mixed-replace; boundary=x", "max-age=60", false},
		{"application/x-ndjson", "", false},
		{"application/x-ndjson", "max-age=60", true},
		{"application/json-seq", "", false},
		{"application/json", "", true},
		{"text/plain", "", true},
	} {
		h := http.Header{"Content-Type": {s.contentType}}
		if s.says != "" {
			h.Set("Cache-Control", s.says)
		}
		now := time.Now()
		a := Admit(&Request{Class: ClassRead}, 200, h, &policy.Policy{Shared: true,
			Heuristic: true}, time.Minute, now, now)
		if a.Store != s.stored || !s.stored && a.Reason != ReasonStream {
			t.Errorf("%s with %q: stored %v, %q; want %v", s.contentType, s.says, a.Store, a.Reason,
				s.stored)
		}
	}
}

func TestAsksForStream(t *testing.T) {
	for accept, want := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream ; q=1": true, "text/event-stream, */*": false,
		"*/*": false, "": false,
	} {
		if got := AsksForStream(http.Header{"Accept": {accept}}); got != want {
			t.Errorf("Accept: %s: got %v, want %v", accept, got, want)
		}
	}
}
