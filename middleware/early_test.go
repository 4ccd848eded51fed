package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// earlyApp is a sick handler behind a root, asked with time for refreshes to end.
func earlyApp(t *testing.T, cacheControl string, p policy.Policy) (*sick, func(...string) *http.Response) {
	s := newSick(cacheControl)
	c := newCache(t)
	root := c.Root(c.With(p)(s))
	return s, func(header ...string) *http.Response {
		r := get(root, "/", header...)
		synctest.Wait()
		return r
	}
}

// A hit past the fraction of the lifetime has the page renewed in the background, once, and no
// client ever waits or sees it stale.
func TestEagerRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ask := earlyApp(t, "max-age=100", policy.Policy{EagerRefresh: 0.8})
		ask()
		time.Sleep(79 * time.Second)
		status(t, ask(), "hit; ttl=21")
		want(t, "runs", s.runs.Load(), int64(1))
		time.Sleep(time.Second)
		r := ask()
		want(t, "who starts it", body(r), "run 1")
		status(t, r, "hit; ttl=20")
		want(t, "runs", s.runs.Load(), int64(2))
		r = ask()
		want(t, "the next one", body(r), "run 2")
		status(t, r, "hit; ttl=100")
		time.Sleep(79 * time.Second)
		status(t, ask(), "hit; ttl=21")
		want(t, "runs", s.runs.Load(), int64(2))
	})
}

// One refresh runs at a time, whatever comes while it runs.
func TestEagerRefreshRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			run := o.runs.Load()
			time.Sleep(5 * time.Second)
			w.Header().Set("Cache-Control", "max-age=100")
			fmt.Fprint(w, "run ", run)
		}
		c := newCache(t)
		root := c.Root(c.With(policy.Policy{EagerRefresh: 0.5})(o))
		get(root, "/")
		time.Sleep(60 * time.Second)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { want(t, "page", body(get(root, "/")), "run 1") })
		}
		all.Wait()
		for range 4 {
			time.Sleep(time.Second)
			want(t, "page", body(get(root, "/")), "run 1")
		}
		time.Sleep(2 * time.Second)
		want(t, "page", body(get(root, "/")), "run 2")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// A refresh that fails, or whose response may not be stored, leaves the page that is fresh yet,
// whatever lifetime the error states. It is tried again a second later, or after Throttle.
func TestAnEagerRefreshThatFails(t *testing.T) {
	for name, ill := range map[string]http.HandlerFunc{
		"an error":                 fails(500),
		"an error with a lifetime": fails(500, "Cache-Control", "max-age=1000"),
		"forbidden for long":       fails(403, "Cache-Control", "max-age=1000"),
		"a panic":                  falls,
		"a page that is private":   fails(200, "Cache-Control", "private"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, ask := earlyApp(t, "max-age=100", policy.Policy{EagerRefresh: 0.8})
				ask()
				s.ill = ill
				time.Sleep(80 * time.Second)
				for range 4 {
					r := ask()
					want(t, "page", body(r), "run 1")
					status(t, r, "hit")
					time.Sleep(500 * time.Millisecond)
				}
				want(t, "runs", s.runs.Load(), int64(3))
				s.ill = nil
				ask()
				want(t, "renewed", body(ask()), "run 4")
			})
		})
	}
}

func TestAThrottleSparesEagerRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ask := earlyApp(t, "max-age=100, stale-if-error=100", policy.Policy{EagerRefresh: 0.8,
			Throttle: 10 * time.Second})
		ask()
		s.ill = fails(500)
		time.Sleep(80 * time.Second)
		for range 9 {
			r := ask()
			want(t, "page", body(r), "run 1")
			status(t, r, "hit; ttl=")
			time.Sleep(time.Second)
		}
		want(t, "runs", s.runs.Load(), int64(2))
		time.Sleep(time.Second)
		ask()
		want(t, "runs", s.runs.Load(), int64(3))
	})
}

// It asks the handler whether the page is still good, and a purge meanwhile counts.
func TestAnEagerRefreshValidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=100")
			w.Header().Set("ETag", `"a"`)
			if r.Header.Get("If-None-Match") == `"a"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "run ", o.runs.Load())
		}
		c := newCache(t)
		root := c.Root(c.With(policy.Policy{EagerRefresh: 0.8})(o))
		get(root, "/")
		time.Sleep(80 * time.Second)
		get(root, "/")
		synctest.Wait()
		r := get(root, "/")
		want(t, "page", body(r), "run 1")
		status(t, r, "hit; ttl=100")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

func TestAPurgeDuringAnEagerRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			run := o.runs.Load()
			time.Sleep(5 * time.Second)
			w.Header().Set("Cache-Control", "max-age=100")
			fmt.Fprint(w, "run ", run)
		}
		c := newCache(t)
		root := c.Root(c.With(policy.Policy{EagerRefresh: 0.5})(o))
		get(root, "/")
		time.Sleep(60 * time.Second)
		get(root, "/")
		time.Sleep(time.Second)
		if _, err := c.InvalidateURL(t.Context(), "http://example.com/"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		r := get(root, "/")
		want(t, "what began before the purge", body(r), "run 3")
		status(t, r, "fwd=")
	})
}

// What only-if-cached asks for, and what no handler outside brings, starts nothing.
func TestWhatStartsNoEagerRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ask := earlyApp(t, "max-age=100", policy.Policy{EagerRefresh: 0.5})
		ask()
		time.Sleep(60 * time.Second)
		status(t, ask("Cache-Control", "only-if-cached"), "hit")
		want(t, "runs", s.runs.Load(), int64(1))
	})
	synctest.Test(t, func(t *testing.T) { // without Root
		s := newSick("max-age=100")
		h := newCache(t).With(policy.Policy{EagerRefresh: 0.5})(s)
		get(h, "/")
		time.Sleep(60 * time.Second)
		status(t, get(h, "/"), "hit")
		synctest.Wait()
		want(t, "runs", s.runs.Load(), int64(1))
	})
}

// XFetch refreshes what took long before its end, nearly always, and what took no time never.
func TestXFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(5 * time.Second)
			}
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, r.URL.Path)
		}
		c := newCache(t)
		root := c.Root(c.With(policy.Policy{XFetch: 1})(o))
		get(root, "/slow")
		get(root, "/quick")
		runs := o.runs.Load()
		// 5 s before the end each draw refreshes with a probability of 1/e or more
		time.Sleep(50 * time.Second)
		for range 1000 {
			status(t, get(root, "/quick"), "hit")
			get(root, "/slow")
			time.Sleep(4 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		want(t, "runs", o.runs.Load(), runs+1)
	})
}

// Processes that share a store refresh once: by the lease what takes long, and by a look into the
// store what another process has renewed meanwhile.
func TestProcessesRefreshEarlyOnce(t *testing.T) {
	for _, took := range []time.Duration{0, time.Second} {
		t.Run(took.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, policy.Policy{EagerRefresh: 0.8}, takes(took,
					func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Cache-Control", "max-age=100")
						fmt.Fprint(w, "page")
					}))
				f.ask(1, "/")
				before := f.runs.Load()
				time.Sleep(85 * time.Second)
				for _, n := range f.nodes {
					status(t, get(n.h, "/"), "hit")
					if took == 0 {
						synctest.Wait()
					}
				}
				time.Sleep(5 * time.Second)
				want(t, "runs", f.runs.Load(), before+1)
				for _, n := range f.nodes {
					status(t, get(n.h, "/"), "hit; ttl=9")
				}
			})
		})
	}
}

// A process whose near copy is past its fraction takes what another process has renewed meanwhile,
// without a run, though its handler is too quick for a lease.
func TestANearCopyIsRenewedByAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t)
		p := policy.Policy{EagerRefresh: 0.8}
		var nodes []*node
		for _, name := range []string{"A", "B"} {
			n := tiered(t, server, name)
			n.origin.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=100")
				fmt.Fprint(w, name, n.origin.runs.Load())
			}
			n.h = n.c.Root(n.c.With(p)(n.origin))
			nodes = append(nodes, n)
		}
		a, b := nodes[0], nodes[1]
		get(a.h, "/")
		want(t, "near B", body(get(b.h, "/")), "A1")
		time.Sleep(85 * time.Second)
		get(a.h, "/")
		time.Sleep(time.Second)
		want(t, "A has renewed it", body(get(a.h, "/")), "A2")
		want(t, "B has a copy", body(get(b.h, "/")), "A1")
		time.Sleep(time.Second)
		want(t, "B has the new one", body(get(b.h, "/")), "A2")
		want(t, "runs of B", b.origin.runs.Load(), int64(0))
	})
}

// A hit costs no allocation, neither before the refresh nor while it is tried once a second.
func TestAHitOfWhatIsRefreshedEarlyAllocatesNothing(t *testing.T) {
	for name, p := range map[string]policy.Policy{
		"eager":  {EagerRefresh: 0.999},
		"by lot": {XFetch: 1},
		"by type": {ByType: []policy.TypePolicy{
			{Types: []string{"text/html"}, Policy: policy.Policy{EagerRefresh: 0.9}}}},
		"begun": {EagerRefresh: 1e-12},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSick("max-age=3600")
			s.header.Set("Content-Type", "text/html; charset=utf-8")
			c := newCache(t)
			h := c.With(p)(s)
			if name == "begun" {
				c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					<-r.Context().Done()
				}))
			}
			r := httptest.NewRequest("GET", "/", nil)
			w := blank{make(http.Header, 16)}
			ask := func() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
			ask()
			ask()
			if allocs := testing.AllocsPerRun(100, ask); allocs > 0 {
				t.Errorf("a hit allocates %v times", allocs)
			}
		})
	}
}
