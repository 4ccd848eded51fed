package simulate

import (
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings/routes"
)

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		is            bool
	}{
		{"/static/*", "/static/a/b.css", true}, {"/static/*", "/static/", true},
		{"/static/*", "/static", false},
		{"*.css", "/a/b.css", true}, {"*.css", "/a/b.css.map", false}, {"/a", "/a", true},
		{"/a", "/ab", false},
		{"*", "", true}, {"", "", true}, {"", "/", false}, {"/*/x/*.js", "/1/x/2/x/3.js", true},
		{"/*a*b", "/aab", true}, {"/*a*b", "/aba", false},
	} {
		if is := matches(tt.pattern, tt.path); is != tt.is {
			t.Errorf("%q matches %q: %t", tt.pattern, tt.path, is)
		}
	}
	long := strings.Repeat("a", 1<<16)
	if matches("*a*a*a*a*a*a*b", long) { // in no time, though it goes back
		t.Error("it ends in b")
	}
}

// rulesOf returns rules for Settings.Rules.
func rulesOf(t *testing.T, lines ...string) func(policy.Policy) *routes.Set {
	t.Helper()
	return func(base policy.Policy) *routes.Set {
		set, err := routes.Parse("", "", routes.Options{Base: base, First: lines})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
}

// A factor is for the lifetimes that rules name, and a length of time for those that they do not.
func TestChangesOfRules(t *testing.T) {
	base := Settings{Policy: policy.Policy{TTL: time.Minute}, TTLs: []TTL{{"/ttl", time.Hour}},
		Rules: rulesOf(t, "/named = 1m", "/typed type text/html = 5s", "/* = tags a")}
	for text, want := range map[string][4]time.Duration{
		"memory=2x":     {time.Minute, 5 * time.Second, time.Minute, time.Hour},
		"ttl=2x":        {2 * time.Minute, 10 * time.Second, 2 * time.Minute, 2 * time.Hour},
		"ttl=2x ttl=3s": {2 * time.Minute, 10 * time.Second, 3 * time.Second, 2 * time.Hour},
		"ttl=1000000x": {1000000 * time.Minute, 5000000 * time.Second, 1000000 * time.Minute,
			1000000 * time.Hour},
		"ttl=3s": {time.Minute, 5 * time.Second, 3 * time.Second, time.Hour},
	} {
		changed, err := base.Change(text)
		if err != nil {
			t.Fatal(err)
		}
		g := newGovernor(&changed)
		of := func(path string) *policy.Policy { return g.of(httptest.NewRequest("GET", path, nil)) }
		got := [4]time.Duration{of("/named").TTL, of("/typed").ByType[0].Policy.TTL, of("/x").TTL,
			of("/ttl").TTL}
		if got != want || of("/named") != of("/named") {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if base.RuleTimes != 0 || newGovernor(&base).of(httptest.NewRequest("GET", "/named",
		nil)).TTL != time.Minute {
		t.Error("the base has changed")
	}
}

func TestChange(t *testing.T) {
	base := Settings{Memory: 64 << 20, Policy: policy.Policy{TTL: time.Minute,
		Key: policy.KeyOptions{DropParams: []string{"a"}}}, TTLs: []TTL{{"/x", time.Hour}}}
	before := fmt.Sprint(base)
	for text, want := range map[string]func(*Settings){
		"memory=2x": func(s *Settings) { s.Memory = 128 << 20 },
		"memory=8MiB ttl=5m": func(s *Settings) {
			s.Memory, s.Policy.TTL = 8<<20, 5*time.Minute
		},
		"ttl=0.5x": func(s *Settings) {
			s.Policy.TTL, s.TTLs[0].Lifetime = 30*time.Second, 30*time.Minute
		},
		"ignore=utm_*,b": func(s *Settings) {
			s.Policy.Key.DropParams = []string{"a", "utm_*", "b"}
		},
		"vary=Accept-Language": func(s *Settings) { s.Vary = []string{"Accept-Language"} },
		"heuristic=240h": func(s *Settings) {
			s.Unmodified, s.Policy.Heuristic = 240*time.Hour, true
		},
		"stale-while-revalidate=9s": func(s *Settings) {
			s.Policy.StaleWhileRevalidate = 9 * time.Second
		},
		"stale-if-error=9s": func(s *Settings) { s.Policy.StaleIfError = 9 * time.Second },
	} {
		got, err := base.Change(text)
		expected := base
		expected.TTLs = []TTL{base.TTLs[0]}
		want(&expected)
		if err != nil || !reflect.DeepEqual(got, expected) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	if after := fmt.Sprint(base); after != before {
		t.Errorf("the base has changed to %s", after)
	}
	for _, text := range []string{"", "speed=2x", "memory", "memory=0x", "memory=1e300x",
		"memory=NaNx", "ttl=-5s", "ignore=", "vary=a b", "heuristic=soon"} {
		if got, err := base.Change(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
