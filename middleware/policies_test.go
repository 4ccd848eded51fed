package middleware

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// Two policies of one handler at one URL share what is stored only where they make the same
// responses of it: durations and bounds make no difference, and functions do.
func TestAFingerprintTellsResponsesApart(t *testing.T) {
	credentials := func(r *http.Request) bool { return r.Header.Get("X-Key") != "" }
	for _, s := range []struct {
		name   string
		change func(*policy.Policy)
		same   bool
	}{
		{"nothing", func(*policy.Policy) {}, true},
		{"another lifetime", func(p *policy.Policy) { p.TTL = time.Hour }, true},
		{"no lifetime", func(p *policy.Policy) { p.TTL = 0 }, false},
		{"a bound in time", func(p *policy.Policy) {
			p.Timeout, p.MaxWait, p.SoftTimeout = time.Second, time.Second, time.Second
			p.HardTimeout, p.MaxRuns = time.Second, 4
		}, true},
		{"a bound in bytes", func(p *policy.Policy) { p.MaxBody = 1 << 20 }, true},
		{"Shared", func(p *policy.Policy) { p.Shared = true }, false},
		{"no Credentials", func(p *policy.Policy) { p.Credentials = nil }, false},
		{"other Credentials", func(p *policy.Policy) {
			p.Credentials = func(*http.Request) bool { return false }
		}, false},
		{"Scope", func(p *policy.Policy) { p.Scope = func(*http.Request) []string { return nil } },
			false},
		{"Key.Replace", func(p *policy.Policy) {
			p.Key.Replace = func(*http.Request) string { return "k" }
		}, false},
		{"Key.Cookies", func(p *policy.Policy) { p.Key.Cookies = []string{"lang"} }, false},
	} {
		one := policy.Policy{TTL: time.Minute, Credentials: credentials}
		other := one
		s.change(&other)
		if same := fingerprint(&one) == fingerprint(&other); same != s.same {
			t.Errorf("%s: the same %v, want %v:\n%s\n%s", s.name, same, s.same, fingerprint(&one),
				fingerprint(&other))
		}
	}
}

// Changes are marked under each of a few ways to fold queries. Only beyond those does one cover all
// of its path.
func TestFewWaysToFoldQueriesAreMarkedEach(t *testing.T) {
	var k knownPolicies
	for i := range maxFolds + 1 {
		if k.many {
			t.Errorf("%d ways are too many", i)
		}
		for range 2 { // the second folds as the first
			k.learn(&policy.Policy{Key: policy.KeyOptions{DropParams: []string{fmt.Sprint(i)}}})
		}
	}
	if !k.many || len(k.folds) != maxFolds {
		t.Errorf("%d ways are known, and there are more: %v", len(k.folds), k.many)
	}
}

// Cache-Status says of each hit what there is to say of that one, though others had the same
// lifetime left.
func TestHitsOfOneLifetimeAreToldApart(t *testing.T) {
	c := boundedCache(t, 1<<20)
	for range 2 {
		for _, out := range []policy.Outcome{
			{Hit: true, TTL: 5 * time.Second, HasTTL: true},
			{Hit: true, TTL: 5 * time.Second, HasTTL: true, Detail: reasonWaited},
			{Hit: true, TTL: 5 * time.Second}, {Hit: true, TTL: 5 * time.Second, HasTTL: true,
				Detail: reasonLost},
			{Fwd: policy.FwdStale, TTL: 5 * time.Second, HasTTL: true},
		} {
			if got, want := c.statusField(&out)[0], string(out.Append(nil, c.options.Name)); got != want {
				t.Errorf("Cache-Status is %q, want %q", got, want)
			}
		}
	}
}

// As many functions of keys are known as there is room for, and as many policies.
func TestHowManyPoliciesAreKnown(t *testing.T) {
	var k knownPolicies
	for i := range maxReplaces + 1 {
		k.learn(&policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
			return fmt.Sprint(i)
		}}})
	}
	if len(k.replaces) != maxReplaces {
		t.Errorf("%d functions are known, want %d", len(k.replaces), maxReplaces)
	}
	var ps policies
	for i := range maxPolicies + 2 {
		if news := ps.add(&policy.Policy{}); news != (i < maxPolicies) {
			t.Fatalf("policy %d is news: %v", i, news)
		}
	}
	if ps.now.Load().many {
		t.Error("there are more ways to fold queries than are known")
	}
	if ps.add(&policy.Policy{Key: policy.KeyOptions{DropParams: []string{"x"}}}) ||
		!ps.now.Load().many {
		t.Error("one more that folds queries is known, or nobody knows that there are more")
	}
	if n := len(ps.now.Load().all); n != maxPolicies {
		t.Errorf("%d policies are known, want %d", n, maxPolicies)
	}
}
