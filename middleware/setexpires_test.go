package middleware_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// expiresOf are settings as seconds by name.
func expiresOf(t testing.TB, resources []string, set map[string]int) *policy.Expires {
	t.Helper()
	var all []policy.ExpirySetting
	for name, seconds := range set {
		all = append(all, policy.ExpirySetting{Name: name,
			TTL: time.Duration(seconds) * time.Second, Origin: "the test"})
	}
	x, err := policy.NewExpires(resources, all...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// silent is an origin that says nothing of caching.
func silent() *origin {
	return &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
}

// New settings count for the next request; what is stored keeps its lifetime, but for a setting of
// 0.
func TestSetExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages := []string{"page"}
		c := newCache(t, middleware.Options{Expires: expiresOf(t, pages,
			map[string]int{"page": 60})})
		o := silent()
		h := c.With(policy.Policy{Resource: "page"})(o)
		for _, step := range []struct {
			seconds       int // new settings before the request; -1: none
			path, control string
			status        string
		}{
			{-1, "/a", "max-age=60", "stored"},
			{5, "/a", "max-age=60", "hit"},
			{-1, "/b", "max-age=5", "stored"},
			{0, "/b", "no-cache, no-store", "fwd=bypass"},
			{-1, "/a", "no-cache, no-store", "fwd=bypass"},
			{30, "/a", "max-age=60", "hit"},
			{-1, "/c", "max-age=30", "stored"},
		} {
			if step.seconds >= 0 {
				if err := c.SetExpires(expiresOf(t, pages, map[string]int{"page": step.seconds})); err != nil {
					t.Fatal(err)
				}
			}
			r := get(h, step.path)
			want(t, step.path, r.Header.Get("Cache-Control"), step.control)
			status(t, r, step.status)
		}
	})
}

// Settings that could not reach a mounted policy are refused whole, and the old ones stay.
func TestSetExpiresRefuses(t *testing.T) {
	var log bytes.Buffer
	both := []string{"page", "feed", "chosen"}
	chosen := policy.Policy{Resource: "chosen"}
	c := newCache(t, middleware.Options{
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
		Expires: expiresOf(t, both, map[string]int{"page": 60, "feed": 60}),
		Policy:  func(*http.Request) *policy.Policy { return &chosen },
	})
	o := silent()
	page := c.With(policy.Policy{Resource: "page"})(o)
	c.Mount("an adapter", &policy.Policy{Resource: "feed"})
	refused := func(x *policy.Expires, says ...string) {
		t.Helper()
		err := c.SetExpires(x)
		for _, text := range append(says, "the old settings stay") {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("error %v, want it to say %q", err, text)
			}
		}
	}
	refused(nil, `"feed", "page"`)
	refused(expiresOf(t, []string{"page"}, map[string]int{"page": 1}), `"feed"`, "Loader.Resources")
	want(t, "after refusals", get(page, "/").Header.Get("Cache-Control"), "max-age=60")

	only := expiresOf(t, []string{"page", "feed"}, map[string]int{"page": 7, "feed": 8})
	want(t, "nobody has asked for what is chosen", c.SetExpires(only), nil)
	want(t, "the new ones", get(page, "/new").Header.Get("Cache-Control"), "max-age=7")
	want(t, "back", c.SetExpires(expiresOf(t, both, map[string]int{"page": 7, "feed": 8})), nil)
	get(c.Handler(o), "/chosen")
	refused(only, `"chosen"`)

	bare := newCache(t)
	refused2 := bare.SetExpires(nil)
	if refused2 == nil || !strings.Contains(refused2.Error(), "nil") {
		t.Errorf("nil settings: %v", refused2)
	}
	bare.With(policy.Policy{Resource: "page"})
	if err := bare.SetExpires(expiresOf(t, []string{"page"}, map[string]int{"page": 9})); err != nil {
		t.Errorf("the first settings of a Cache that had none: %v", err)
	}
}

// A mount and new settings at the same moment: never a mounted policy whose resource the settings
// lack.
func TestSetExpiresBesideMountsAndRequests(t *testing.T) {
	both, one := []string{"page", "feed"}, []string{"page"}
	for range 50 {
		c := newCache(t, middleware.Options{Expires: expiresOf(t, both,
			map[string]int{"page": 60})})
		o := silent()
		h := c.With(policy.Policy{Resource: "page"})(o)
		var all sync.WaitGroup
		var refused error
		mounted := true
		all.Go(func() { refused = c.SetExpires(expiresOf(t, one, map[string]int{"page": 5})) })
		all.Go(func() {
			defer func() { mounted = recover() == nil }()
			c.With(policy.Policy{Resource: "feed"})
		})
		all.Go(func() { get(h, "/") })
		all.Wait()
		if mounted == (refused == nil) {
			t.Fatalf("mounted: %t, and the settings: %v", mounted, refused)
		}
	}
}

// Advice on a setting is given anew for new settings.
func TestSetExpiresAdvises(t *testing.T) {
	var log bytes.Buffer
	c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil)),
		Expires: expiresOf(t, []string{"page"}, map[string]int{"page": 60})})
	c.With(policy.Policy{Resource: "page"})(silent())
	want(t, "the log", log.String(), "")
	if err := c.SetExpires(expiresOf(t, []string{"page"}, map[string]int{"a_b_page": 1})); err != nil {
		t.Fatal(err)
	}
	if err := c.SetExpires(expiresOf(t, []string{"page"}, nil)); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"a_b_page_cache_expires_seconds applies to each of its readings",
		"no setting names a lifetime"} {
		if strings.Count(log.String(), says) != 1 {
			t.Errorf("the log does not say %q once:\n%s", says, &log)
		}
	}
}

// A hit under settings allocates nothing, before and after they were replaced.
func TestAHitUnderSettingsAllocatesNothing(t *testing.T) {
	c := newCache(t, middleware.Options{Expires: expiresOf(t, []string{"page"},
		map[string]int{"a.page": 60})})
	scope := []string{"a"}
	h := c.With(policy.Policy{Resource: "page", Scope: func(*http.Request) []string {
		return scope
	}})(silent())
	r := httptest.NewRequest("GET", "/", nil)
	w := blank{make(http.Header, 16)}
	h.ServeHTTP(w, r)
	for _, seconds := range []int{30, 0} { // 0: what follows is no hit
		if allocs := testing.AllocsPerRun(100, func() { clear(w.header); h.ServeHTTP(w, r) }); allocs > 0 {
			t.Errorf("a hit allocates %v times, want none", allocs)
		}
		if err := c.SetExpires(expiresOf(t, []string{"page"}, map[string]int{"a.page": seconds})); err != nil {
			t.Fatal(err)
		}
	}
	status(t, get(h, "/"), "fwd=bypass")
}
