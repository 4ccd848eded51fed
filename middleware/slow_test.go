package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// sluggish is an app whose page has the header, and whose runs from the second on take so long.
func sluggish(takes time.Duration, header ...string) *origin {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		run := o.runs.Load()
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if run > 1 {
			time.Sleep(takes)
		}
		fmt.Fprint(w, "run ", run)
	}
	return o
}

// rooted mounts o under p in an app of its own.
func rooted(c *middleware.Cache, p policy.Policy, o http.Handler) http.Handler {
	return c.Root(c.With(p)(o))
}

const forErrors = "max-age=60, stale-if-error=600"

// With something stale that it may have, no request waits longer than SoftTimeout, whatever it asks
// for; the handler runs once, goes on behind them, and what it answers is stored.
func TestNobodyWaitsLongerThanSoftTimeout(t *testing.T) {
	for _, s := range []struct {
		name   string
		method string
		fields []string
		status int
		body   string
	}{
		{"GET", "GET", nil, 200, "run 1"},
		{"HEAD", "HEAD", nil, 200, ""},
		{"a part", "GET", []string{"Range", "bytes=4-"}, 206, "1"},
		{"a validation", "GET", []string{"If-None-Match", `"1"`}, 304, ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := sluggish(20*time.Second, "Cache-Control", forErrors, "Etag", `"1"`)
				h := rooted(newCache(t), policy.Policy{SoftTimeout: time.Second}, o)
				get(h, "/")
				time.Sleep(70 * time.Second)
				var all sync.WaitGroup
				began := time.Now()
				for range 20 {
					all.Go(func() {
						r := do(h, s.method, "/", s.fields...)
						want(t, "status", r.StatusCode, s.status)
						want(t, "body", body(r), s.body)
						status(t, r, "fwd=stale; detail=soft-timeout")
						want(t, "Age", r.Header.Get("Age"), "71")
						want(t, "waited", time.Since(began), time.Second)
					})
				}
				all.Wait()
				time.Sleep(25 * time.Second)
				r := get(h, "/")
				want(t, "later", body(r), "run 2")
				status(t, r, "hit")
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// Where the new response comes in time, all get that.
func TestAHandlerThatIsQuickEnoughIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := sluggish(time.Second/2, "Cache-Control", forErrors)
		h := rooted(newCache(t), policy.Policy{SoftTimeout: time.Second}, o)
		get(h, "/")
		time.Sleep(70 * time.Second)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				r := get(h, "/")
				want(t, "body", body(r), "run 2")
				if says := r.Header.Get("Cache-Status"); !strings.Contains(says, "fwd=stale; collapsed") &&
					!strings.Contains(says, "fwd=stale; fwd-status=200") {
					t.Error(says)
				}
			})
		}
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// Nothing stale is served that a directive, a client or an invalidation forbids: then the handler
// is waited for.
func TestSoftTimeoutServesNothingThatIsForbidden(t *testing.T) {
	for _, s := range []struct {
		name    string
		header  string
		p       policy.Policy
		fields  []string
		between func(*testing.T, *middleware.Cache) // while the request waits
		body    string
	}{
		{"no stale-if-error", "max-age=60", policy.Policy{}, nil, nil, "run 2"},
		{"past its stale-if-error", "max-age=60, stale-if-error=5", policy.Policy{}, nil, nil, "run 2"},
		{"past it while the request waits", "max-age=60, stale-if-error=11",
			policy.Policy{SoftTimeout: 2 * time.Second}, nil, nil, "run 2"},
		{"must-revalidate", forErrors + ", must-revalidate", policy.Policy{}, nil, nil, "run 2"},
		{"proxy-revalidate", forErrors + ", proxy-revalidate", policy.Policy{}, nil, nil, "run 2"},
		{"s-maxage", "s-maxage=60, stale-if-error=600", policy.Policy{}, nil, nil, "run 2"},
		{"no-cache", "no-cache, stale-if-error=600", policy.Policy{}, nil, nil, "run 2"},
		{"a reload", forErrors, policy.Policy{}, []string{"Cache-Control", "no-cache"}, nil, "run 2"},
		{"a reload that may not force us", forErrors, policy.Policy{IgnoreClientDirectives: true},
			[]string{"Cache-Control", "no-cache"}, nil, "run 1"},
		{"a client that wants it fresh", forErrors, policy.Policy{},
			[]string{"Cache-Control", "max-age=3600"}, nil, "run 2"},
		{"the operator's stale-if-error", "max-age=60", policy.Policy{StaleIfError: time.Minute}, nil,
			nil, "run 1"},
		{"a purge meanwhile", forErrors, policy.Policy{}, nil, func(t *testing.T, c *middleware.Cache) {
			if err := failed(c.InvalidateTag(context.Background(), "t")); err != nil {
				t.Error(err)
			}
		}, "run 3"},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := sluggish(10*time.Second, "Cache-Control", s.header, "Etag", `"1"`)
				if s.p.Tags = []string{"t"}; s.p.SoftTimeout == 0 {
					s.p.SoftTimeout = time.Second
				}
				s.p.MaxWait = -1
				h := rooted(c, s.p, o)
				get(h, "/")
				time.Sleep(70 * time.Second)
				var all sync.WaitGroup
				all.Go(func() { want(t, "body", body(get(h, "/", s.fields...)), s.body) })
				time.Sleep(time.Second / 2)
				if s.between != nil {
					s.between(t, c)
				}
				all.Wait()
				time.Sleep(time.Minute)
			})
		})
	}
}

// Without a root the one that runs the handler waits for it, and those who wait with it do not.
func TestSoftTimeoutWithoutARoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, said := logger()
		o := sluggish(20*time.Second, "Cache-Control", forErrors)
		h := newCache(t, middleware.Options{Log: log}).With(policy.Policy{SoftTimeout: time.Second})(o)
		get(h, "/")
		time.Sleep(70 * time.Second)
		var all sync.WaitGroup
		all.Go(func() { want(t, "the leader's", body(get(h, "/")), "run 2") })
		synctest.Wait()
		began := time.Now()
		r := get(h, "/")
		want(t, "who waits gets", body(r), "run 1")
		status(t, r, "detail=soft-timeout")
		want(t, "after", time.Since(began), time.Second)
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(2))
		if !strings.Contains(said(), "serve it so: http.ListenAndServe(addr, cache.Root(app))") {
			t.Errorf("nothing is said of the root: %s", said())
		}
	})
}

// What becomes of the run behind is nothing that its clients have to do with: it fails, panics or
// turns out to be for one client alone, and the next request asks anew.
func TestTheRunBehindMayFail(t *testing.T) {
	for name, fails := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		"a panic":  func(w http.ResponseWriter, r *http.Request) { panic("boom") },
		"an abort": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"private": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			io.WriteString(w, "secret")
		},
		"cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "short")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", forErrors)
					if o.runs.Load() == 2 {
						time.Sleep(5 * time.Second)
						fails(w, r)
						return
					}
					fmt.Fprint(w, "run ", o.runs.Load())
				}
				h := rooted(newCache(t), policy.Policy{SoftTimeout: time.Second}, o)
				get(h, "/")
				time.Sleep(70 * time.Second)
				want(t, "body", body(get(h, "/")), "run 1")
				time.Sleep(10 * time.Second)
				want(t, "later", body(get(h, "/")), "run 3")
				want(t, "runs", o.runs.Load(), int64(3))
			})
		})
	}
}

// A request with credentials gets its own page: nothing of theirs goes behind.
func TestCredentialsDoNotGoBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if who := r.Header.Get("Cookie"); who != "" {
				time.Sleep(3 * time.Second)
				w.Header().Set("Cache-Control", "private")
				io.WriteString(w, who)
				return
			}
			io.WriteString(w, "anyone")
		}
		p := policy.Policy{SoftTimeout: time.Second, HardTimeout: 2 * time.Second, TTL: time.Minute,
			StaleIfError: time.Hour}
		h := rooted(newCache(t), p, o)
		get(h, "/")
		time.Sleep(70 * time.Second)
		for _, who := range []string{"user=a", "user=b"} {
			want(t, "body", body(get(h, "/", "Cookie", who)), who)
		}
		want(t, "anyone's", body(get(h, "/")), "anyone")
	})
}

// A run behind that nobody waits for ends after Timeout or a minute, where it has a place among the
// refreshes, and else half a minute after its clients have left.
func TestHowLongARunBehindGoesOn(t *testing.T) {
	for _, s := range []struct {
		name   string
		p      policy.Policy
		leaves bool // its client leaves before SoftTimeout
		ends   time.Duration
	}{
		{"a minute", policy.Policy{}, false, time.Minute},
		{"Timeout", policy.Policy{Timeout: 7 * time.Second}, false, 7 * time.Second},
		{"its client left", policy.Policy{}, true, 30500 * time.Millisecond},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var took atomic.Int64
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", forErrors)
					if o.runs.Load() == 2 {
						began := time.Now()
						<-r.Context().Done()
						took.Store(int64(time.Since(began)))
						return
					}
					fmt.Fprint(w, "run ", o.runs.Load())
				}
				s.p.SoftTimeout = time.Second
				c := newCache(t)
				h := rooted(c, s.p, o)
				get(h, "/")
				time.Sleep(70 * time.Second)
				ctx, leave := context.WithCancel(t.Context())
				if s.leaves {
					time.AfterFunc(time.Second/2, leave)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
				leave()
				if want(t, "refreshes", c.Stats().Refreshes, map[bool]int{false: 1}[s.leaves]); !s.leaves {
					want(t, "body", w.Body.String(), "run 1")
				}
				time.Sleep(2 * time.Minute)
				want(t, "it took", time.Duration(took.Load()), s.ends)
				want(t, "refreshes left", c.Stats().Refreshes, 0)
				want(t, "fills left", c.Stats().Fills, 0)
			})
		})
	}
}

// Where all places among the refreshes are taken, a run behind ends half a minute after its last
// client has left: what a sick handler piles up is bounded.
func TestRunsBehindAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running := 0
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", forErrors)
			if o.runs.Load() > 10 {
				mu.Lock()
				running++
				mu.Unlock()
				<-r.Context().Done()
				mu.Lock()
				running--
				mu.Unlock()
			}
			io.WriteString(w, "page")
		}
		c := newCache(t, middleware.Options{MaxRefreshes: 2})
		h := rooted(c, policy.Policy{SoftTimeout: time.Second}, o)
		for i := range 10 {
			get(h, fmt.Sprint("/", i))
		}
		time.Sleep(70 * time.Second)
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() { status(t, get(h, fmt.Sprint("/", i)), "detail=soft-timeout") })
		}
		all.Wait()
		mu.Lock()
		want(t, "running", running, 10)
		mu.Unlock()
		want(t, "with a place", c.Stats().Refreshes, 2)
		time.Sleep(35 * time.Second)
		mu.Lock()
		want(t, "half a minute later", running, 2)
		mu.Unlock()
		time.Sleep(time.Minute)
		want(t, "places left", c.Stats().Refreshes, 0)
	})
}
