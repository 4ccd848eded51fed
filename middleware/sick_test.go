package middleware_test

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A policy that cannot work is refused where the mount is made, by field, value and what is
// allowed.
func TestWrongWordsForSickHandlers(t *testing.T) {
	c := newCache(t)
	for says, p := range map[string]policy.Policy{
		"Throttle is -1s: allowed is a length of time, or 0":   {Throttle: -time.Second},
		"EagerRefresh is 1: allowed is a fraction":             {EagerRefresh: 1},
		"EagerRefresh is NaN: allowed is a fraction":           {EagerRefresh: math.NaN()},
		"XFetch is 101: allowed is a number up to 100":         {XFetch: 101},
		"Jitter is -0.1: allowed is a fraction":                {Jitter: -0.1},
		"Jitter is 1: allowed is a fraction":                   {Jitter: 1},
		"FailureTTL is 1h0m0s: allowed is a length of time up": {FailureTTL: time.Hour},
		"FailureTTL is -1ns: allowed is a length of time up":   {FailureTTL: -1},
	} {
		if said := panics(func() { c.With(p) }); !strings.Contains(said, says) {
			t.Errorf("%q, want %q", said, says)
		}
		of := policy.Policy{ByType: []policy.TypePolicy{{Types: []string{"*"}, Policy: p}}}
		if said := panics(func() { c.With(of) }); !strings.Contains(said, says) {
			t.Errorf("by type: %q, want %q", said, says)
		}
	}
	if said := panics(func() {
		c.With(policy.Policy{Throttle: time.Hour, EagerRefresh: 0.99, XFetch: 100, Jitter: 0.99,
			FailureTTL: time.Minute})
	}); said != "" {
		t.Error(said)
	}
}

// Explanations name each word where it counts, and the log says that early refreshes need Root.
func TestSickHandlersAreExplained(t *testing.T) {
	log, said := logger()
	p := policy.Policy{TTL: 100 * time.Second, StaleIfError: time.Hour, Throttle: time.Minute,
		EagerRefresh: 0.5, XFetch: 1, Jitter: 0.5, FailureTTL: time.Minute}
	c := newCache(t, middleware.Options{Log: log})
	s := newSick("")
	s.header = http.Header{}
	h := c.With(p)(s)
	if get(h, "/"); !strings.Contains(said(), "EagerRefresh or XFetch") {
		t.Errorf("the log says %s", said())
	}
	app := c.Root(h)
	explains := func(path string, o middleware.ExplainOptions, all ...string) {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), "GET", "http://example.com"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		x, err := c.Explain(t.Context(), r, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			if !strings.Contains(x.String(), one) {
				t.Errorf("%s: without %q:\n%s", path, one, x)
			}
		}
	}
	explains("/", middleware.ExplainOptions{}, "Policy.EagerRefresh", "Policy.XFetch")
	explains("/", middleware.ExplainOptions{Fetch: true}, "the lifetime is shortened by", "Policy.Jitter")
	s.ill = fails(500)
	get(app, "/sick")
	explains("/sick", middleware.ExplainOptions{}, "detail=failure", "Policy.FailureTTL")
	explains("/new", middleware.ExplainOptions{Fetch: true}, "lifetime", "1m0s", "Policy.FailureTTL")
	if _, err := c.InvalidateURL(t.Context(), "http://example.com/", middleware.Soft); err != nil {
		t.Fatal(err)
	}
	get(app, "/")
	explains("/", middleware.ExplainOptions{}, "detail=throttled", "Policy.Throttle")
}
