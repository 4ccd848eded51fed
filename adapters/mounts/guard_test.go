package mounts_test

import (
	"compress/gzip"
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

	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/sessions"
	"github.com/klauspost/compress/gzhttp"
	echosession "github.com/labstack/echo-contrib/session"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// wrapper is middleware of net/http.
type wrapper = func(http.Handler) http.Handler

// between are handlers that hold the header back, mounted around a cache with a policy.
var between = []struct {
	name string
	app  func(c *middleware.Cache, p policy.Policy, outer wrapper, page http.Handler) http.Handler
}{
	{"gzhttp", func(c *middleware.Cache, p policy.Policy, outer wrapper,
		page http.Handler) http.Handler {
		return outer(gzhttp.GzipHandler(c.With(p)(page)))
	}},
	{"gorilla's CompressHandler",
		func(c *middleware.Cache, p policy.Policy, outer wrapper, page http.Handler) http.Handler {
			return outer(handlers.CompressHandler(c.With(p)(page)))
		}},
	{"echo's Gzip", func(c *middleware.Cache, p policy.Policy, outer wrapper,
		page http.Handler) http.Handler {
		e := echo.New()
		e.Use(echo.WrapMiddleware(outer))
		e.Use(echomiddleware.GzipWithConfig(echomiddleware.GzipConfig{MinLength: 2000}),
			echocache.With(c, p))
		e.Any("/", echo.WrapHandler(page))
		return e
	}},
	{"http.TimeoutHandler", func(c *middleware.Cache, p policy.Policy, outer wrapper,
		page http.Handler) http.Handler {
		return outer(http.TimeoutHandler(c.With(p)(page), time.Minute, "late"))
	}},
	{"gzhttp and chi's logger",
		func(c *middleware.Cache, p policy.Policy, outer wrapper, page http.Handler) http.Handler {
			quiet := chimiddleware.RequestLogger(
				&chimiddleware.DefaultLogFormatter{Logger: discarded{}, NoColor: true})
			return outer(quiet(gzhttp.GzipHandler(c.With(p)(page))))
		}},
}

type discarded struct{}

func (discarded) Print(...any) {}

// sizes are how much follows what the page says: too little to be compressed, enough, and enough to
// stream.
var sizes = []int{0, 4000, 3 * middleware.HoldBack}

// text is the body as its reader sees it.
func text(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body io.Reader = w.Body
	if w.Header().Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	all, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	return string(all)
}

// guarded makes an app with a Guard around it.
type guarded = func(c *middleware.Cache, outer wrapper, page http.Handler) http.Handler

func forEachBetween(t *testing.T, test func(t *testing.T, pad int, app guarded)) {
	for _, b := range between {
		for _, pad := range sizes {
			t.Run(fmt.Sprintf("%s, %d bytes", b.name, pad), func(t *testing.T) {
				test(t, pad, func(c *middleware.Cache, outer wrapper,
					page http.Handler) http.Handler {
					return c.Guard(b.app(c, policy.Policy{TTL: time.Minute}, outer, page))
				})
			})
		}
	}
}

// Sessions beyond what holds the header back: each visitor gets a page of their own, one after the
// other and at once.
func TestGuardSeesSessionsBeyondWhatHoldsTheHeader(t *testing.T) {
	const visitors = 8
	forEachBetween(t, func(t *testing.T, pad int, app guarded) {
		synctest.Test(t, func(t *testing.T) {
			m := newSessions()
			s := &shop{pad: pad, number: scsNumber(m)}
			c := newCache(t)
			slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Second)
				s.ServeHTTP(w, r)
			})
			h := app(c, m.LoadAndSave, slow)
			var all sync.WaitGroup
			var mu sync.Mutex
			seen := map[string]bool{}
			for range visitors {
				all.Go(func() {
					w := newVisitor(h).get("/", "Accept-Encoding", "gzip")
					if status := w.Header().Get("Cache-Status"); strings.Contains(status, "stored") {
						t.Errorf("Cache-Status is %q", status)
					}
					n := who(text(t, w))
					mu.Lock()
					seen[n] = true
					mu.Unlock()
				})
			}
			all.Wait()
			want(t, "pages", len(seen), visitors)
			for i := range 2 {
				want(t, "a later visitor's",
					who(text(t, newVisitor(h).get("/", "Accept-Encoding", "gzip"))),
					fmt.Sprint(visitors+1+i))
			}
		})
	})
}

// A page that no session went into is stored, and those who come for it at once share it.
func TestGuardLetsPagesBeStoredBelowWhatHoldsTheHeader(t *testing.T) {
	forEachBetween(t, func(t *testing.T, pad int, app guarded) {
		for name, outer := range map[string]func(http.Handler) http.Handler{
			"nothing":  func(h http.Handler) http.Handler { return h },
			"sessions": newSessions().LoadAndSave,
		} {
			// which holds the body back, too
			limited := strings.Contains(t.Name(), "TimeoutHandler")
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					var runs atomic.Int64
					h := app(c, outer, http.HandlerFunc(func(w http.ResponseWriter,
						r *http.Request) {
						time.Sleep(time.Second)
						fmt.Fprint(w, "run ", runs.Add(1), strings.Repeat(".", pad))
					}))
					var all sync.WaitGroup
					for range 8 {
						all.Go(func() {
							got := text(t, newVisitor(h).get("/", "Accept-Encoding", "gzip"))
							want(t, "length", len(got), len("run 1")+pad)
						})
					}
					all.Wait()
					before := runs.Load()
					if before != 1 && !(limited && pad > middleware.HoldBack) {
						t.Errorf("the handler ran %d times", before)
					}
					want(t, "length for a later visitor", len(text(t, newVisitor(h).get("/"))),
						len("run 1")+pad)
					want(t, "runs", runs.Load(), before)
				})
			})
		}
	})
}

// What the handler of a time limit answers in the place of a page tells nothing of the page.
func TestGuardBeyondATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		m := newSessions()
		var runs atomic.Int64
		h := c.Guard(m.LoadAndSave(
			http.TimeoutHandler(
				c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					n := runs.Add(1)
					m.Put(r.Context(), "n", n)
					if n == 1 {
						time.Sleep(time.Minute)
					}
					fmt.Fprint(w, "run ", n)
				})), time.Second, "late")))
		want(t, "status", newVisitor(h).get("/").Code, http.StatusServiceUnavailable)
		time.Sleep(2 * time.Minute)
		want(t, "the next visitor's", newVisitor(h).get("/").Body.String(), "run 2")
		want(t, "the third visitor's", newVisitor(h).get("/").Body.String(), "run 3")
	})
}

// A refresh, which has no Guard, sees a cookie beyond a compressor, and is stored without one.
func TestRefreshBelowACompressor(t *testing.T) {
	for _, begins := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			m := newSessions()
			var visits atomic.Int64
			p := policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Hour}
			h := m.LoadAndSave(
				gzhttp.GzipHandler(c.With(p)(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					if visits.Add(1) > 1 && begins {
						m.Put(r.Context(), "n", visits.Load())
					}
					fmt.Fprint(w, "visit ", visits.Load())
				}))))
			c.Root(h)
			want(t, "a miss", get(h, "/", "Accept-Encoding", "gzip").Body.String(), "visit 1")
			time.Sleep(time.Minute)
			want(t, "stale", get(h, "/", "Accept-Encoding", "gzip").Body.String(), "visit 1")
			synctest.Wait()
			want(t, "visits", visits.Load(), 2)
			then := "visit 2"
			if begins {
				then = "visit 1"
			}
			want(t, "after the refresh", get(h, "/", "Cache-Control",
				"only-if-cached, max-stale").Body.String(), then)
		})
	}
}

// A page of parts that are cached apart is made while its header is held back: no part waits for
// itself.
func TestGuardAroundAPageOfParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var runs atomic.Int64
		part := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			fmt.Fprint(w, "part ", runs.Add(1), ";")
		}))
		h := c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				one := httptest.NewRecorder()
				part.ServeHTTP(one, httptest.NewRequest("GET", "/part",
					nil).WithContext(r.Context()))
				io.Copy(w, one.Body)
			}
		}))
		start := time.Now()
		get(h, "/")
		want(t, "waited", time.Since(start), 0)
		before := runs.Load()
		get(h, "/")
		want(t, "runs for the next page", runs.Load()-before, 0)
	})
}

// The log says once what to do, when a response's header went out too late to be looked at.
func TestHeldHeaderIsLoggedOnce(t *testing.T) {
	c, log := newLoggedCache(t)
	h := c.Guard(gzhttp.GzipHandler(
		c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			io.WriteString(w, "begin")
			http.NewResponseController(w).Flush() // too little for the compressor to go by
			io.WriteString(w, " and end")
		}))))
	for _, path := range []string{"/a", "/b"} {
		for range 2 {
			want(t, "body", text(t, get(h, path, "Accept-Encoding", "gzip")), "begin and end")
		}
		want(t, "stored", get(h, path, "Cache-Control", "only-if-cached").Code, http.StatusOK)
	}
	want(t, "lines", strings.Count(log.String(), "holds headers back"), 1)
}

// echo's own sessions, which are gorilla's: saved by the handler, and in a hook.
func TestEchoSessions(t *testing.T) {
	for _, saved := range []string{"by the handler", "in a hook"} {
		for _, place := range []string{"outside", "inside", "beyond a compressor"} {
			for _, pad := range sizes {
				t.Run(fmt.Sprintf("%s, %s, %d bytes", saved, place, pad), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testEchoSessions(t, saved, place, pad) })
				})
			}
		}
	}
}

func testEchoSessions(t *testing.T, saved, place string, pad int) {
	c := newCache(t)
	var next atomic.Int64
	e := echo.New()
	cached := echocache.With(c, policy.Policy{TTL: time.Minute})
	in := echosession.Middleware(sessions.NewCookieStore(make([]byte, 32)))
	hook := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if saved == "in a hook" {
				session, _ := echosession.Get("shop", c)
				r, w := c.Request(), c.Response()
				w.Before(func() { session.Save(r, w) })
			}
			return next(c)
		}
	}
	switch place {
	case "outside":
		e.Use(in, hook, cached)
	case "inside":
		e.Use(cached, in, hook)
	default:
		e.Use(in, hook, echomiddleware.GzipWithConfig(echomiddleware.GzipConfig{MinLength: 2000}),
			cached)
	}
	e.GET("/", func(c echo.Context) error {
		time.Sleep(time.Second)
		session, err := echosession.Get("shop", c)
		if err != nil {
			return err
		}
		n := numberIn(session, func() string { return fmt.Sprint(next.Add(1)) })
		if saved == "by the handler" {
			if err := session.Save(c.Request(), c.Response()); err != nil {
				return err
			}
		}
		return c.String(http.StatusOK, "you are "+n+strings.Repeat(".", pad))
	})
	h := c.Guard(e)
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]*visitor{}
	for range 4 {
		all.Go(func() {
			v := newVisitor(h)
			n := who(text(t, v.get("/", "Accept-Encoding", "gzip")))
			mu.Lock()
			seen[n] = v
			mu.Unlock()
		})
	}
	all.Wait()
	want(t, "pages", len(seen), 4)
	for n, v := range seen {
		want(t, "their next visit's", who(text(t, v.get("/"))), n)
	}
	want(t, "a later visitor's", who(text(t, newVisitor(h).get("/"))), "5")
}
