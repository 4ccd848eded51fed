package rules

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

func TestRefreshesEarly(t *testing.T) {
	at := time.Unix(1700000000, 0)
	half := 1 - math.Exp(-0.5) // for which -ln(1-random) is a half
	for _, c := range []struct {
		name              string
		p                 policy.Policy
		age, took, passed time.Duration
		random            float64
		want              bool
	}{
		{"off", policy.Policy{}, 0, time.Hour, 99 * time.Second, 0.999, false},
		{"before", policy.Policy{EagerRefresh: 0.8}, 0, 0, 80*time.Second - 1, 0, false},
		{"from then on", policy.Policy{EagerRefresh: 0.8}, 0, 0, 80 * time.Second, 0, true},
		{"to the end", policy.Policy{EagerRefresh: 0.8}, 0, 0, 100*time.Second - 1, 0, true},
		{"stale", policy.Policy{EagerRefresh: 0.8}, 0, 0, 100 * time.Second, 0, false},
		{"it came old", policy.Policy{EagerRefresh: 0.8}, 90 * time.Second, 0, 7 * time.Second, 0,
			false},
		{"it came old, and its rest is used up", policy.Policy{EagerRefresh: 0.8}, 90 * time.Second, 0,
			8 * time.Second, 0, true},
		{"by lot, not yet", policy.Policy{XFetch: 1}, 0, 10 * time.Second, 95*time.Second - 1e6, half,
			false},
		{"by lot", policy.Policy{XFetch: 1}, 0, 10 * time.Second, 95*time.Second + 1e6, half, true},
		{"by lot, twice as early", policy.Policy{XFetch: 2}, 0, 10 * time.Second,
			90*time.Second + 1e6, half, true},
		{"the lot is the least", policy.Policy{XFetch: 100}, 0, time.Hour, 99 * time.Second, 0, false},
		{"no time was taken", policy.Policy{XFetch: 100}, 0, 0, 99 * time.Second, 0.999, false},
		{"no number", policy.Policy{XFetch: math.NaN(), EagerRefresh: math.NaN()}, 0, time.Hour,
			99 * time.Second, 0.999, false},
		{"what comes first", policy.Policy{EagerRefresh: 0.9, XFetch: 1}, 0, 10 * time.Second,
			90 * time.Second, 0, true},
	} {
		e := &store.Entry{Fresh: 100 * time.Second, Age: c.age, Received: at, Requested: at.Add(-c.took)}
		if got := RefreshesEarly(e, &c.p, at.Add(c.passed), c.random); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// The policy of the response's type says whether it is refreshed early.
func TestEarlyPolicy(t *testing.T) {
	html := policy.TypePolicy{Types: []string{"text/html"}, Policy: policy.Policy{EagerRefresh: 0.5}}
	text := policy.TypePolicy{Types: []string{"text/plain"}}
	page := &store.Entry{Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
	for _, c := range []struct {
		p    policy.Policy
		want float64
	}{
		{policy.Policy{}, 0}, {policy.Policy{EagerRefresh: 0.9}, 0.9},
		{policy.Policy{ByType: []policy.TypePolicy{text, html}}, 0.5},
		{policy.Policy{EagerRefresh: 0.9, ByType: []policy.TypePolicy{html}}, 0.5},
		{policy.Policy{EagerRefresh: 0.9, ByType: []policy.TypePolicy{text}}, 0.9},
		{policy.Policy{XFetch: 1, ByType: []policy.TypePolicy{{Types: []string{"*"}}}}, 0},
	} {
		got := 0.0
		if p := EarlyPolicy(&c.p, page); p != nil {
			got = p.EagerRefresh
		}
		if got != c.want {
			t.Errorf("%+v: %v, want %v", c.p, got, c.want)
		}
		if n := testing.AllocsPerRun(100, func() { EarlyPolicy(&c.p, page) }); n > 0 {
			t.Errorf("it allocates %v times", n)
		}
	}
}
