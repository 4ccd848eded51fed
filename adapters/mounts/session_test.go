package mounts_test

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
	"time"

	"github.com/alexedwards/scs/v2"
	scsmemstore "github.com/alexedwards/scs/v2/memstore"
	"github.com/gorilla/sessions"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// shop is a page that greets each session by a number of its own, which it puts into the session at
// the first visit. number reads and sets it.
type shop struct {
	next   atomic.Int64
	pad    int
	says   string
	number func(w http.ResponseWriter, r *http.Request, fresh func() string) string
	wait   chan struct{} // closed when handlers may go on; nil: at once
	began  atomic.Int64
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.number(w, r, func() string { return fmt.Sprint(s.next.Add(1)) })
	s.began.Add(1)
	if s.wait != nil {
		<-s.wait
	}
	if s.says != "" {
		w.Header().Set("Cache-Control", s.says)
	}
	io.WriteString(w, "you are "+n+strings.Repeat(".", s.pad))
}

func who(body string) string { return strings.TrimRight(strings.TrimPrefix(body, "you are "), ".") }

// wrapped is a writer that calls save when the header is written, as session middleware of many
// apps does.
type wrapped struct {
	http.ResponseWriter
	save  func()
	saved bool
}

func (w *wrapped) WriteHeader(status int) {
	if !w.saved {
		w.saved = true
		w.save()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *wrapped) Write(p []byte) (int, error) {
	if !w.saved {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

func (w *wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// sessionApps are apps with sessions and a cache. They set the shop's number, and return the app.
var sessionApps = []struct {
	name string
	app  func(s *shop, cached func(http.Handler) http.Handler, c *middleware.Cache,
		p policy.Policy) http.Handler
}{
	{"scs outside", func(s *shop, cached func(http.Handler) http.Handler, _ *middleware.Cache,
		_ policy.Policy) http.Handler {
		m := newSessions()
		s.number = scsNumber(m)
		return m.LoadAndSave(cached(s))
	}},
	{"scs inside", func(s *shop, cached func(http.Handler) http.Handler, _ *middleware.Cache,
		_ policy.Policy) http.Handler {
		m := newSessions()
		s.number = scsNumber(m)
		return cached(m.LoadAndSave(s))
	}},
	{"gorilla/sessions, saved by a writer outside",
		func(s *shop, cached func(http.Handler) http.Handler, _ *middleware.Cache,
			_ policy.Policy) http.Handler {
			jar := sessions.NewCookieStore(make([]byte, 32))
			s.number = gorillaNumber
			return savedByWriter(jar, cached(s))
		}},
	{"gorilla/sessions, saved by a writer inside",
		func(s *shop, cached func(http.Handler) http.Handler, _ *middleware.Cache,
			_ policy.Policy) http.Handler {
			jar := sessions.NewCookieStore(make([]byte, 32))
			s.number = gorillaNumber
			return cached(savedByWriter(jar, s))
		}},
	{"gorilla/sessions, saved by the handler",
		func(s *shop, cached func(http.Handler) http.Handler, _ *middleware.Cache,
			_ policy.Policy) http.Handler {
			jar := sessions.NewCookieStore(make([]byte, 32))
			s.number = func(w http.ResponseWriter, r *http.Request, fresh func() string) string {
				session, _ := jar.Get(r, "shop")
				defer session.Save(r, w)
				return numberIn(session, fresh)
			}
			return cached(s)
		}},
	{"echo, saved by Response.Before outside",
		func(s *shop, _ func(http.Handler) http.Handler, c *middleware.Cache,
			p policy.Policy) http.Handler {
			jar := sessions.NewCookieStore(make([]byte, 32))
			s.number = gorillaNumber
			e := echo.New()
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					session, _ := jar.Get(c.Request(), "shop")
					c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(),
						sessionKey{}, session)))
					r, w := c.Request(), c.Response()
					w.Before(func() { session.Save(r, w) })
					return next(c)
				}
			}, echocache.With(c, p))
			e.Any("/", echo.WrapHandler(s))
			return e
		}},
}

// newSessions is scs.New without its goroutine, which cannot be ended without a data race.
func newSessions() *scs.SessionManager {
	return &scs.SessionManager{
		Lifetime: time.Hour, Store: scsmemstore.NewWithCleanupInterval(0), Codec: scs.GobCodec{},
		Cookie: scs.SessionCookie{Name: "session", Path: "/", HttpOnly: true, Persist: true},
	}
}

func scsNumber(
	m *scs.SessionManager,
) func(http.ResponseWriter, *http.Request, func() string) string {
	return func(_ http.ResponseWriter, r *http.Request, fresh func() string) string {
		n := m.GetString(r.Context(), "n")
		if n == "" {
			n = fresh()
			m.Put(r.Context(), "n", n)
		}
		return n
	}
}

type sessionKey struct{}

func savedByWriter(jar sessions.Store, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, _ := jar.Get(r, "shop")
		r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, session))
		next.ServeHTTP(&wrapped{ResponseWriter: w, save: func() {
			if len(session.Values) > 0 {
				session.Save(r, w)
			}
		}}, r)
	})
}

func gorillaNumber(_ http.ResponseWriter, r *http.Request, fresh func() string) string {
	return numberIn(r.Context().Value(sessionKey{}).(*sessions.Session), fresh)
}

func numberIn(session *sessions.Session, fresh func() string) string {
	n, _ := session.Values["n"].(string)
	if n == "" {
		n = fresh()
		session.Values["n"] = n
	}
	return n
}

// forEachSession runs a test for each app, with pages that are held back and pages that stream, of
// handlers that say nothing and that say a lifetime.
func forEachSession(t *testing.T, test func(t *testing.T, s *shop, h http.Handler)) {
	for _, a := range sessionApps {
		for _, pad := range []int{0, 2 * middleware.HoldBack} {
			for _, says := range []string{"", "max-age=60", "public, max-age=60"} {
				if a.name == "scs inside" && says != "" {
					// it adds no-cache="Set-Cookie": the handler that says how long means the rest
					// of its page
					continue
				}
				t.Run(fmt.Sprintf("%s, %d bytes, %s", a.name, pad, says), func(t *testing.T) {
					s := &shop{pad: pad, says: says}
					c := newCache(t)
					p := policy.Policy{TTL: time.Minute}
					test(t, s, c.Guard(a.app(s, c.With(p), c, p)))
				})
			}
		}
	}
}

// Each visitor gets a page of their own, at their first visit and later.
func TestSessionsOfTwoVisitors(t *testing.T) {
	forEachSession(t, func(t *testing.T, s *shop, h http.Handler) {
		alice, bob := newVisitor(h), newVisitor(h)
		for visit := range 3 {
			a, b := alice.get("/"), bob.get("/")
			want(t, "alice is", who(a.Body.String()), "1")
			want(t, "bob is", who(b.Body.String()), "2")
			if visit == 0 {
				notForSharedCaches(t, a.Header())
				notForSharedCaches(t, b.Header())
			}
		}
		newVisitor(h).method("HEAD", "/")
		want(t, "after a HEAD, a third is", who(newVisitor(h).get("/").Body.String()), "4")
	})
}

// Those who come for the first time while another's page is made get pages of their own, too.
func TestSessionsOfManyAtOnce(t *testing.T) {
	const visitors = 8
	forEachSession(t, func(t *testing.T, s *shop, h http.Handler) {
		s.wait = make(chan struct{})
		var all sync.WaitGroup
		seen := make(chan string, visitors)
		for range visitors {
			all.Go(func() { seen <- who(newVisitor(h).get("/").Body.String()) })
		}
		for s.began.Load() == 0 {
			// until one leads; the others wait for it, or come later: both must do
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Millisecond)
		close(s.wait)
		all.Wait()
		close(seen)
		numbers := map[string]bool{}
		for n := range seen {
			numbers[n] = true
		}
		want(t, "pages", len(numbers), visitors)
	})
}

// A page that a session did not go into is stored, and served beside sessions outside.
func TestPageWithoutSession(t *testing.T) {
	m := newSessions()
	runs := 0
	h := m.LoadAndSave(newCache(t).With(policy.Policy{TTL: time.Minute})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs++
			io.WriteString(w, "news")
		})))
	for i := range 3 {
		w := get(h, "/")
		want(t, "body", w.Body.String(), "news")
		want(t, "hit", strings.Contains(w.Header().Get("Cache-Status"), "hit"), i > 0)
	}
	want(t, "runs", runs, 1)
}

// A page that is the same for all is served to those with a session, too, and a visit that begins
// one is not stored.
func TestSharedPageBesideSessions(t *testing.T) {
	m := newSessions()
	cache := newCache(t)
	runs := 0
	shared := policy.Policy{TTL: time.Minute, Shared: true}
	about := cache.With(shared)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		io.WriteString(w, "about")
	}))
	login := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "n", "1")
		io.WriteString(w, "hello")
	})
	mux := http.NewServeMux()
	mux.Handle("/about", about)
	mux.Handle("/login", login)
	h := m.LoadAndSave(mux)
	alice := newVisitor(h)
	alice.get("/login")
	for i := range 3 {
		want(t, "hit", strings.Contains(alice.get("/about").Header().Get("Cache-Status"), "hit"),
			i > 0)
		want(t, "hit of another",
			strings.Contains(newVisitor(h).get("/about").Header().Get("Cache-Status"), "hit"), true)
	}
	want(t, "runs", runs, 1)
}

// A compressor between holds the header back until the body comes; the page that a session went
// into leaves the store again.
func TestSessionBeyondACompressor(t *testing.T) {
	m := newSessions()
	visits := 0
	h := m.LoadAndSave(gzhttp.GzipHandler(
		newCache(t).With(policy.Policy{TTL: time.Minute})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				visits++
				m.Put(r.Context(), "n", visits)
				w.Header().Set("X-Visit", fmt.Sprint(visits))
				io.WriteString(w, strings.Repeat("page ", 1000))
			}))))
	for visit := 1; visit <= 3; visit++ {
		w := get(h, "/", "Accept-Encoding", "gzip")
		want(t, "coding", w.Header().Get("Content-Encoding"), "gzip")
		want(t, "the visitor's", w.Header().Get("X-Visit"), fmt.Sprint(visit))
		want(t, "cookie", w.Header().Get("Set-Cookie") != "", true)
	}
}

// A refresh in the background that sets a cookie renews nothing.
func TestRefreshThatBeginsASession(t *testing.T) {
	m := newSessions()
	c := newCache(t)
	var visits atomic.Int64
	refreshed := make(chan struct{})
	h := m.LoadAndSave(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=600")
		if visits.Add(1) > 1 {
			m.Put(r.Context(), "n", "2")
		}
		fmt.Fprint(w, "visit ", visits.Load())
	})))
	c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(refreshed)
		h.ServeHTTP(w, r)
	}))
	want(t, "a miss", get(h, "/").Body.String(), "visit 1")
	want(t, "stale", get(h, "/").Body.String(), "visit 1")
	<-refreshed
	w := get(h, "/", "Cache-Control", "only-if-cached, max-stale")
	want(t, "still", w.Body.String(), "visit 1")
}

// An informational response through a writer that takes it for the response still leaves the cookie
// seen.
func TestSessionBehindEarlyHints(t *testing.T) {
	m := newSessions()
	next := 0
	h := m.LoadAndSave(newCache(t).With(policy.Policy{TTL: time.Minute})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next++
			m.Put(r.Context(), "n", next)
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			fmt.Fprint(w, "you are ", next)
		})))
	server := httptest.NewServer(h)
	defer server.Close()
	for i := 1; i <= 2; i++ {
		r, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		want(t, "body", string(text), fmt.Sprint("you are ", i))
		if r.Header.Get("Set-Cookie") == "" {
			t.Error("the session's cookie is lost")
		}
	}
}

// The log says once what became of pages whose cookie came late, and what there is to do about it:
// nothing of mounting the cache around sessions, nor of Policy.Shared, which changes nothing here.
func TestLateCookieIsLoggedOnce(t *testing.T) {
	bare := func(h http.Handler) http.Handler { return h }
	gzip := func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }
	const kept, leaked, guard = "its client's alone", "others may have got it", "Cache.Root"
	for _, s := range []struct {
		name              string
		between           func(http.Handler) http.Handler
		guarded           bool
		level             string
		kept, leak, guard int // lines
	}{
		{"bare", bare, false, "level=WARN", 1, 0, 1},
		{"guarded", bare, true, "level=INFO", 1, 0, 0},
		{"gzhttp between", gzip, false, "level=ERROR", 0, 1, 2},
		{"gzhttp between, guarded", gzip, true, "level=INFO", 1, 0, 0},
		{"a time limit between", timeLimit, false, "level=WARN", 0, 0, 1},
		{"a time limit between, guarded", timeLimit, true, "level=INFO", 1, 0, 0},
	} {
		t.Run(s.name, func(t *testing.T) {
			c, log := newLoggedCache(t)
			m := newSessions()
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m.Put(r.Context(), "n", "1")
				io.WriteString(w, strings.Repeat("page ", 1000))
			})
			h := m.LoadAndSave(s.between(c.With(policy.Policy{TTL: time.Minute})(page)))
			if s.guarded {
				h = c.Guard(h)
			}
			want(t, "Set-Cookie", get(h, "/", "Accept-Encoding",
				"gzip").Header().Get("Set-Cookie") != "", true)
			for range 3 {
				get(h, "/", "Accept-Encoding", "gzip")
			}
			text := log.String()
			want(t, "lines of pages that were kept", strings.Count(text, kept), s.kept)
			want(t, "lines of pages that others may have", strings.Count(text, leaked), s.leak)
			want(t, "lines that name Root", strings.Count(text, guard), s.guard)
			want(t, "the level is in it", strings.Contains(text, s.level), true)
			want(t, "Policy.Shared", strings.Contains(text, "Policy.Shared"), false)
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}

func timeLimit(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "late") }
