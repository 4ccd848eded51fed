package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// blank is a client whose header map is there already, so that what is counted is the cache's own.
type blank struct{ header http.Header }

func (w blank) Header() http.Header         { return w.header }
func (w blank) Write(p []byte) (int, error) { return len(p), nil }
func (w blank) WriteHeader(int)             {}

// A hit of what others have just asked for allocates nothing: its key, its Age and its Cache-Status
// are known, and the body is not copied.
func TestAHitAllocatesNothing(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Write(make([]byte, 64<<10))
	}}
	h := c.Handler(o)
	r := httptest.NewRequest("GET", "http://example.com/articles/1?page=2", nil)
	r.RequestURI = "/articles/1?page=2"
	r.Header.Set("Accept-Encoding", "gzip, br")
	r.Header.Set("User-Agent", "a browser")
	w := blank{make(http.Header, 16)}
	h.ServeHTTP(w, r)
	allocs := testing.AllocsPerRun(100, func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	})
	if allocs > 0 {
		t.Errorf("a hit allocates %v times, want none", allocs)
	}
	want(t, "runs", o.runs.Load(), int64(1))
	if got := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}
	}).AllocedBytesPerOp(); got > 4<<10 {
		t.Errorf("a hit of 64 KiB allocates %d bytes: the body is copied", got)
	}
}

// Neither does one where Options.Policy has another policy for each of two paths that are asked for
// in turn.
func TestAHitUnderOneOfSeveralPoliciesAllocatesNothing(t *testing.T) {
	policies := map[string]*policy.Policy{"/a": {TTL: time.Hour}, "/b": {TTL: time.Hour,
		Tags: []string{"b"}}}
	c := newCache(t, middleware.Options{Policy: func(r *http.Request) *policy.Policy {
		return policies[r.URL.Path]
	}})
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }}
	h := c.Handler(o)
	w := blank{make(http.Header, 16)}
	requests := []*http.Request{httptest.NewRequest("GET", "/a", nil), httptest.NewRequest("GET",
		"/b", nil)}
	both := func() {
		for _, r := range requests {
			clear(w.header)
			h.ServeHTTP(w, r)
		}
	}
	for range 3 {
		both()
	}
	if allocs := testing.AllocsPerRun(100, both); allocs > 0 {
		t.Errorf("two hits allocate %v times, want none", allocs)
	}
	want(t, "runs", o.runs.Load(), int64(2))
}

// Root costs a hit two allocations: the guard's writer, which has the context in it, and the
// request with that context.
func TestAHitThroughRootAllocatesTwice(t *testing.T) {
	c := newCache(t)
	app := c.Root(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
	})))
	r := httptest.NewRequest("GET", "/", nil)
	w := blank{make(http.Header, 16)}
	app.ServeHTTP(w, r)
	if allocs := testing.AllocsPerRun(100, func() {
		clear(w.header)
		app.ServeHTTP(w, r)
	}); allocs > 2 {
		t.Errorf("a hit through Root allocates %v times, want 2", allocs)
	}
}

// Values are shared with what is stored, so that a hit allocates nothing. The ways to change a field
// that the docs allow change one client's alone, at the last moment, too.
func TestChangesOfAFieldAreOneClients(t *testing.T) {
	for name, change := range map[string]func(h http.Header, name string){
		"set": func(h http.Header, name string) { h.Set(name, "changed") },
		"add": func(h http.Header, name string) { h.Add(name, "changed") },
		"del": func(h http.Header, name string) { h.Del(name) },
		"a slice of its own": func(h http.Header, name string) {
			values := slices.Clone(h[name])
			for i := range values {
				values[i] = "changed"
			}
			h[name] = values
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			changes := false
			c := newCache(t, middleware.Options{OnHeader: func(_ int, h http.Header) {
				if changes {
					for name := range h {
						change(h, name)
					}
				}
			}})
			h := c.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					w.Header()["Link"] = []string{"</a>", "</b>"}
					w.Header()["X-Page"] = []string{"page"}
					io.WriteString(w, "page")
				}))
			get(h, "/")
			before := get(h, "/")
			changes = true
			if after := get(h, "/"); fmt.Sprint(after.Header) == fmt.Sprint(before.Header) {
				t.Errorf("%s changes nothing", name)
			}
			changes = false
			if after := get(h, "/"); fmt.Sprint(after.Header) != fmt.Sprint(before.Header) {
				t.Errorf("%s: the next client gets %v, and before that %v", name, after.Header, before.Header)
			}
		})
	}
}
