package mounts_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A Guard that is not outermost makes nothing worse: visitors who ask at the same time have a page
// each, wherever it stands, and the log says once what to do.
func TestAGuardThatIsNotOutermost(t *testing.T) {
	minute := policy.Policy{TTL: time.Minute}
	logger := chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: discarded{},
		NoColor: true})
	gz := func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }
	for place, s := range map[string]struct {
		app  func(c *middleware.Cache, session wrapper, page http.Handler) http.Handler
		says int
	}{
		"outermost": {func(c *middleware.Cache, session wrapper, page http.Handler) http.Handler {
			return c.Guard(session(c.With(minute)(page)))
		}, 0},
		"inside a session": {func(c *middleware.Cache, session wrapper,
			page http.Handler) http.Handler {
			return session(c.Guard(c.With(minute)(page)))
		}, 1},
		"inside a session, and outside": {func(c *middleware.Cache, session wrapper,
			page http.Handler) http.Handler {
			return c.Guard(session(c.Guard(c.With(minute)(page))))
		}, 0},
		"inside a session, and outside of a compressor": {
			func(c *middleware.Cache, session wrapper, page http.Handler) http.Handler {
				return c.Guard(session(gz(c.Guard(c.With(minute)(page)))))
			}, 0},
		"inside a logger": {func(c *middleware.Cache, session wrapper,
			page http.Handler) http.Handler {
			return logger(c.Guard(session(gz(c.With(minute)(page)))))
		}, 1},
		"inside a session and a cache": {func(c *middleware.Cache, session wrapper,
			page http.Handler) http.Handler {
			return session(c.Handler(c.Guard(c.With(minute)(page))))
		}, 1},
		"inside a session, in echo": {func(c *middleware.Cache, session wrapper,
			page http.Handler) http.Handler {
			e := echo.New()
			e.Use(echo.WrapMiddleware(session), echo.WrapMiddleware(c.Guard),
				echocache.With(c, minute))
			e.Any("/*", echo.WrapHandler(page))
			return e
		}, 1},
	} {
		for _, pad := range sizes {
			t.Run(fmt.Sprintf("%s, %d bytes", place, pad), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const visitors = 8
					c, log := newLoggedCache(t)
					m := newSessions()
					page := &shop{pad: pad, number: scsNumber(m)}
					h := s.app(c, m.LoadAndSave, http.HandlerFunc(func(w http.ResponseWriter,
						r *http.Request) {
						time.Sleep(time.Second)
						page.ServeHTTP(w, r)
					}))
					var all sync.WaitGroup
					var mu sync.Mutex
					seen := map[string]bool{}
					for range visitors {
						all.Go(func() {
							n := who(text(t, newVisitor(h).get("/", "Accept-Encoding", "gzip")))
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
					want(t, "lines of the log", strings.Count(log.String(), "is not outermost"),
						s.says)
				})
			})
		}
	}
}

// Our own writers outside of a Guard add nothing that it does not see.
func TestAGuardInsideOfOurOwnHandlers(t *testing.T) {
	c, log := newLoggedCache(t)
	whole := newCache(t)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page") })
	s := httptest.NewServer(c.Changes(whole.Handler(c.Guard(c.With(policy.Policy{TTL: time.Minute})(
		page)))))
	defer s.Close()
	for _, method := range []string{"GET", "POST", "PROPFIND", "HEAD", "OPTIONS"} {
		r, err := http.NewRequest(method, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	want(t, "the log", log.String(), "")
}

// A page that no session went into is stored below such a Guard, too; and what its handler answers
// reaches the client as without it.
func TestPagesBelowAGuardThatIsNotOutermost(t *testing.T) {
	c := newCache(t)
	m := newSessions()
	runs := 0
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		if r.URL.Path == "/gone" {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		fmt.Fprint(w, "<html>run ", runs)
	})
	s := httptest.NewServer(m.LoadAndSave(c.Guard(c.With(policy.Policy{TTL: time.Minute})(page))))
	defer s.Close()
	for _, ask := range []struct {
		path   string
		status int
		kind   string
	}{{"/", 200, "text/html; charset=utf-8"}, {"/gone", 410, "text/plain; charset=utf-8"}} {
		for range 2 {
			r, err := s.Client().Get(s.URL + ask.path)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			want(t, "status", r.StatusCode, ask.status)
			want(t, "type", r.Header.Get("Content-Type"), ask.kind)
		}
	}
	want(t, "runs", runs, 2)
}
