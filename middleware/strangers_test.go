package middleware_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// Users and visitors without a name walk at random, many at once, through an app whose pages say
// who asks, or begin a session, and never that they are for others: under random policies, in
// mounts within mounts, with a session middleware outside that sets its cookie late. Nobody gets a
// word that was meant for somebody else.
func TestStrangers(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			s := &strangers{r: rand.New(rand.NewPCG(seed, 1)),
				inside: rand.New(rand.NewPCG(seed, 2))}
			if s.walk(t); t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
}

type strangers struct {
	r *rand.Rand // of the walk

	mu     sync.Mutex
	inside *rand.Rand // of the handlers
	begun  int        // sessions

	says   []string // the Cache-Control of each page
	tagged bool     // all pages have one ETag
	late   bool     // sessions set their cookies late
	owners sync.Map // of sessions: *http.Request
}

// secrets are the words that are meant for one alone.
var secrets = regexp.MustCompile(`(user|session)\d+\.`)

func (s *strangers) once(in int) bool { return s.r.IntN(in) == 0 }

func (s *strangers) one(of ...string) string { return of[s.r.IntN(len(of))] }

// roll is for handlers, which run at once.
func (s *strangers) roll(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inside.IntN(n)
}

func (s *strangers) policy() (p policy.Policy) {
	for _, wish := range []func(){
		func() { p.TTL = 2 * time.Second },
		func() { p.Heuristic = true },
		func() { p.StaleWhileRevalidate = 5 * time.Second },
		func() { p.StaleIfError = 5 * time.Second },
		func() { p.Key.SortQuery = true },
		func() { p.Key.Headers = []string{"X-Tenant"} },
		func() { p.PassCookies = []string{"pass"} },
		func() { p.IgnoreCookies = []string{"ignored*"} },
		func() { p.MaxWait = 300 * time.Millisecond },
		func() { p.Timeout = 500 * time.Millisecond },
	} {
		if s.once(3) {
			wish()
		}
	}
	return p
}

func (s *strangers) walk(t *testing.T) {
	for range 4 {
		s.says = append(s.says,
			s.one("", "", "max-age=2", "no-cache", "must-revalidate", "max-age=0, must-revalidate",
				"private",
				"no-store", "max-age=2, must-revalidate", "max-age=1, stale-while-revalidate=5",
				"max-age=1, stale-if-error=9",
				"no-cache, max-age=0", `private="X-A", max-age=2`))
	}
	s.tagged, s.late = s.once(2), !s.once(4)
	app := s.app(t)
	var all sync.WaitGroup
	for range 60 {
		r, user := s.request()
		if visit := func() { s.visit(t, app, r, user) }; s.once(2) {
			all.Go(visit)
		} else {
			visit()
		}
		time.Sleep(time.Duration(s.r.IntN(700)) * time.Millisecond)
	}
	all.Wait()
	time.Sleep(time.Minute) // for what runs in the background
}

// app mounts the pages.
func (s *strangers) app(t *testing.T) http.Handler {
	all := s.policy()
	c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return &all }})
	var app http.Handler = http.HandlerFunc(s.page)
	if s.once(2) {
		app = c.With(s.policy())(app)
		if inner := app; s.once(3) { // behind a writer that hides what it wraps
			app = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
			})
		}
	}
	if s.once(3) {
		app = c.With(s.policy())(app)
	} else {
		app = c.Handler(app)
	}
	app = sessions(app)
	if s.once(2) {
		c.Root(app)
	}
	if s.once(3) {
		app = c.Guard(app)
	}
	return app
}

// session is one that a page has begun.
type session struct{ name string }

type sessionKey struct{}

// sessions sets the cookies of sessions as the header goes out.
func sessions(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := &session{}
		next.ServeHTTP(&sessionWriter{w, begun}, r.WithContext(context.WithValue(r.Context(),
			sessionKey{}, begun)))
	})
}

type sessionWriter struct {
	http.ResponseWriter
	begun *session
}

func (w *sessionWriter) WriteHeader(status int) {
	if status >= 200 && w.begun.name != "" {
		w.Header().Add("Set-Cookie", "session="+w.begun.name)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *sessionWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// page says who asks, after a while, and may begin a session.
func (s *strangers) page(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Duration(max(0, s.roll(2400)-1600)) * time.Millisecond)
	says := s.says[r.URL.Path[len(r.URL.Path)-1]-'0']
	if says != "" {
		w.Header().Set("Cache-Control", says)
	}
	if s.tagged {
		w.Header().Set("ETag", `"same"`)
	}
	if field := s.roll(16); field < 4 {
		w.Header().Set("Vary", []string{"Accept", "X-Tenant", "Cookie", "Origin"}[field])
	}
	if r.Method == "POST" {
		w.Header().Set("Content-Location", r.URL.RequestURI())
	}
	who := r.Header.Get("X-Session-Id")
	if cookie, err := r.Cookie("user"); err == nil {
		who = cookie.Value
	}
	if s.roll(12) == 0 {
		http.Error(w, who, http.StatusInternalServerError)
		return
	}
	if s.roll(12) == 0 {
		w.WriteHeader(http.StatusEarlyHints)
	}
	if s.roll(5) == 0 {
		who += " " + s.begin(w, r)
	} else if s.tagged && r.Header.Get("If-None-Match") == `"same"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := fmt.Sprintf("%-200s", who)
	if r.Header.Get("Range") == "bytes=0-99" {
		w.Header().Set("Content-Range", "bytes 0-99/200")
		w.WriteHeader(http.StatusPartialContent)
		body = body[:100]
	}
	io.WriteString(w, body)
	if len(body) == 200 && s.roll(8) == 0 {
		http.NewResponseController(w).Flush()
		io.WriteString(w, strings.Repeat("x", 40<<10))
	}
}

// begin begins a session, whose cookie the page sets itself or leaves to be set.
func (s *strangers) begin(w http.ResponseWriter, r *http.Request) string {
	s.mu.Lock()
	s.begun++
	name := fmt.Sprintf("session%d.", s.begun)
	s.mu.Unlock()
	if s.late {
		r.Context().Value(sessionKey{}).(*session).name = name
	} else {
		w.Header().Set("Set-Cookie", "session="+name)
	}
	return name
}

func (s *strangers) request() (r *http.Request, user string) {
	r = httptest.NewRequest(s.one("GET", "GET", "GET", "HEAD", "POST"),
		fmt.Sprintf("/page%d%s", s.r.IntN(4), s.one("", "", "?b=1&a=2")), nil)
	if s.once(2) {
		user = fmt.Sprintf("user%d.", s.r.IntN(3))
		if s.once(4) {
			r.Header.Set("X-Session-Id", user)
		} else {
			r.Header.Set("Cookie", s.one("", "ignored1=1; ", "pass=1; ")+"user="+user)
		}
	} else if s.once(3) {
		r.Header.Set("Cookie", "ignored2=5")
	}
	for _, field := range [][]string{
		{"Cache-Control", "no-cache", "max-age=0", "max-stale", "no-store", "only-if-cached"},
		{"Range", "bytes=0-99", "bytes=5-9"},
		{"If-None-Match", `"same"`}, {"X-Tenant", "1", "2"}, {"Origin", "a"},
		{"Accept", "text/html"},
	} {
		if s.once(6) {
			r.Header.Set(field[0], s.one(field[1:]...))
		}
	}
	return r, user
}

// visit asks, and reads what it gets for words that are another's.
func (s *strangers) visit(t *testing.T, app http.Handler, r *http.Request, user string) {
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler {
				panic(v)
			}
		}()
		app.ServeHTTP(w, r)
	}()
	for _, word := range secrets.FindAllString(w.Body.String()+fmt.Sprint(w.Header()), -1) {
		owner := any(r)
		if strings.HasPrefix(word, "session") {
			owner, _ = s.owners.LoadOrStore(word, r)
		}
		if owner != any(r) || strings.HasPrefix(word, "user") && word != user {
			t.Errorf("%s %s %v: got %q: %d %v", r.Method, r.URL, r.Header, word, w.Code, w.Header())
		}
	}
}
