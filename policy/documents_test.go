package policy

import (
	"net/http"
	"testing"
	"time"
)

// A document that stood unchanged for ten days may change today.
func TestHeuristicLifetimeOfDocuments(t *testing.T) {
	const day, minute = 24 * time.Hour, time.Minute
	old := fields("Last-Modified", after(-10*day)) // which makes a day
	for _, c := range []struct {
		media string
		p     Policy
		want  time.Duration
	}{
		{"text/html", Policy{}, minute},
		{"Text/HTML ; charset=utf-8", Policy{}, minute},
		{"application/xhtml+xml", Policy{}, minute},
		{"application/rss+xml", Policy{}, minute},
		{"application/atom+xml;charset=utf-8", Policy{}, minute},
		{"application/feed+json", Policy{}, minute},
		{"application/json", Policy{}, minute},
		{"application/problem+json", Policy{}, minute},
		{"application/xml", Policy{}, minute},
		{"text/xml", Policy{}, minute},
		{"text/calendar", Policy{}, minute},
		{"application/x-ndjson", Policy{}, minute},
		{"", Policy{}, minute},
		{"text/plain", Policy{}, day},
		{"text/css", Policy{}, day},
		{"text/javascript", Policy{}, day},
		{"image/svg+xml", Policy{}, day},
		{"image/png", Policy{}, day},
		{"font/woff2", Policy{}, day},
		{"application/pdf", Policy{}, day},
		{"application/octet-stream", Policy{}, day},
		{"text/html", Policy{HeuristicDocumentMax: time.Hour}, time.Hour},
		{"text/html", Policy{HeuristicDocumentMax: 48 * time.Hour}, day},
		{"text/html", Policy{HeuristicDocumentMax: 1500 * time.Millisecond}, time.Second},
		{"text/html", Policy{HeuristicMax: 30 * time.Second}, 30 * time.Second},
		{"text/html", Policy{HeuristicMax: time.Hour}, minute},
		{"text/html", Policy{HeuristicDocumentMax: -1}, 0},
		{"text/css", Policy{HeuristicDocumentMax: -1}, day},
	} {
		h := old.Clone()
		if c.media != "" {
			h.Set("Content-Type", c.media)
		}
		c.p.Heuristic = true
		a := Admit(anonymousGet, 200, h, &c.p, 0, received, received)
		if a.Fresh != c.want || a.Store != (c.want > 0) {
			t.Errorf("%q, %v and %v: %v, stored %t; want %v", c.media, c.p.HeuristicMax, c.p.HeuristicDocumentMax, a.Fresh, a.Store, c.want)
		}
	}
	twice := old.Clone()
	twice["Content-Type"] = []string{"image/png", "text/html"}
	if a := Admit(anonymousGet, 200, twice, &Policy{Heuristic: true}, 0, received, received); a.Fresh != minute {
		t.Errorf("of two types: %v, want a minute", a.Fresh)
	}
	stated := http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"max-age=3600"}}
	if a := Admit(anonymousGet, 200, stated, &Policy{Heuristic: true}, 0, received, received); a.Fresh != time.Hour {
		t.Errorf("a stated lifetime: %v, want an hour", a.Fresh)
	}
}
