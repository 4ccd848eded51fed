package rules

import (
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A document that stood unchanged for ten days may change today.
func TestHeuristicLifetimeOfDocuments(t *testing.T) {
	const day, minute = 24 * time.Hour, time.Minute
	old := fields("Last-Modified", after(-10*day)) // which makes a day
	for _, c := range []struct {
		media string
		p     policy.Policy
		want  time.Duration
	}{
		{"text/html", policy.Policy{}, minute},
		{"Text/HTML ; charset=utf-8", policy.Policy{}, minute},
		{"application/xhtml+xml", policy.Policy{}, minute},
		{"application/rss+xml", policy.Policy{}, minute},
		{"application/atom+xml;charset=utf-8", policy.Policy{}, minute},
		{"application/feed+json", policy.Policy{}, minute},
		{"application/json", policy.Policy{}, minute},
		{"application/problem+json", policy.Policy{}, minute},
		{"application/xml", policy.Policy{}, minute},
		{"text/xml", policy.Policy{}, minute},
		{"text/calendar", policy.Policy{}, minute},
		{"application/x-ndjson", policy.Policy{}, minute},
		{"", policy.Policy{}, minute},
		{"text/plain", policy.Policy{}, day},
		{"text/css", policy.Policy{}, day},
		{"text/javascript", policy.Policy{}, day},
		{"image/svg+xml", policy.Policy{}, day},
		{"image/png", policy.Policy{}, day},
		{"font/woff2", policy.Policy{}, day},
		{"application/pdf", policy.Policy{}, day},
		{"application/octet-stream", policy.Policy{}, day},
		{"text/html", policy.Policy{HeuristicDocumentMax: time.Hour}, time.Hour},
		{"text/html", policy.Policy{HeuristicDocumentMax: 48 * time.Hour}, day},
		{"text/html", policy.Policy{HeuristicDocumentMax: 1500 * time.Millisecond}, time.Second},
		{"text/html", policy.Policy{HeuristicMax: 30 * time.Second}, 30 * time.Second},
		{"text/html", policy.Policy{HeuristicMax: time.Hour}, minute},
		{"text/html", policy.Policy{HeuristicDocumentMax: -1}, 0},
		{"text/css", policy.Policy{HeuristicDocumentMax: -1}, day},
	} {
		h := old.Clone()
		if c.media != "" {
			h.Set("Content-Type", c.media)
		}
		c.p.Heuristic = true
		a := Admit(anonymousGet, 200, h, &c.p, 0, received, received)
		if a.Fresh != c.want || a.Store != (c.want > 0) {
			t.Errorf("%q, %v and %v: %v, stored %t; want %v", c.media, c.p.HeuristicMax,
				c.p.HeuristicDocumentMax, a.Fresh, a.Store, c.want)
		}
	}
	twice := old.Clone()
	twice["Content-Type"] = []string{"image/png", "text/html"}
	if a := Admit(anonymousGet, 200, twice, &policy.Policy{Heuristic: true}, 0, received, received); a.Fresh != minute {
		t.Errorf("of two types: %v, want a minute", a.Fresh)
	}
	stated := http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"max-age=3600"}}
	if a := Admit(anonymousGet, 200, stated, &policy.Policy{Heuristic: true}, 0, received,
		received); a.Fresh != time.Hour {
		t.Errorf("a stated lifetime: %v, want an hour", a.Fresh)
	}
}
