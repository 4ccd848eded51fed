package middleware_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A policy that cannot work is refused where the mount is made, by field, value and what is allowed.
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
