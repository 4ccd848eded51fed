package front

import (
	"bufio"
	stdcontext "context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// site is an app with a front.
type site struct {
	t     testing.TB
	cache *middleware.Cache
	srv   *http.Server
	addr  string
	runs  chan string
	front *server
}

func newSite(t testing.TB, f *Front, o middleware.Options, routes func(*site) http.Handler) *site {
	t.Helper()
	s := &site{t: t, runs: make(chan string, 1<<10)}
	s.cache = middleware.New(memstore.New(64<<20), o)
	s.srv = &http.Server{Handler: s.cache.Root(routes(s))}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if f != nil {
		if s.front, err = f.prepare(s.srv, s.cache); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		if f == nil {
			ended <- s.srv.Serve(l)
			return
		}
		ended <- s.srv.Serve(s.front.listen(l, nil))
	}()
	t.Cleanup(func() {
		s.srv.Close()
		if err := <-ended; err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), 10*time.Second)
		defer cancel()
		s.cache.Shutdown(ctx)
	})
	return s
}

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	s.runs <- r.Method + " " + r.RequestURI
	w.Header().Set("Etag", `"1"`)
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "the page %s", r.RequestURI)
}

// client is a client that writes what it likes.
type client struct {
	t testing.TB
	net.Conn
	rd *bufio.Reader
}

func (s *site) dial() *client {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{s.t, nc, bufio.NewReader(nc)}
}

// do writes a request, and reads the response.
func (c *client) do(request string) (*http.Response, string) {
	c.t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		c.t.Fatal(err)
	}
	return c.read(strings.Fields(request)[0])
}

// reset has the client read from its connection anew.
func (c *client) reset() { c.rd = bufio.NewReader(c.Conn) }

// wants reads a response that must be whole and have the content, and returns 1.
func (c *client) wants(content string) int64 {
	res, err := http.ReadResponse(c.rd, nil)
	if err != nil {
		c.t.Errorf("for %.20q: %v", content, err)
		return 0
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != content {
		c.t.Errorf("%.40q, %v, want %.40q", body, err, content)
		return 0
	}
	return 1
}

func (c *client) read(method string) (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.rd, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(body)
}

func get(path string, fields ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: example.com\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

func minutely(s *site) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.cache.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(s.page)))
	return mux
}

// counted is a front that counts the hits that it answers.
func counted(hits *atomic.Int64) *Front {
	return &Front{OnHit: func(http.Header, *http.Request) { hits.Add(1) }}
}

// The first request runs the handler, the second is a hit that comes through the app, and all
// others the front answers.
func TestHitsAreAnsweredInFront(t *testing.T) {
	var hits atomic.Int64
	s := newSite(t, counted(&hits), middleware.Options{}, minutely)
	c := s.dial()
	for i := range 10 {
		res, body := c.do(get("/a"))
		if res.StatusCode != 200 || body != "the page /a" {
			t.Errorf("%d: %s, %q", i, res.Status, body)
		}
	}
	if hits.Load() != 8 || len(s.runs) != 1 {
		t.Errorf("%d hits were the front's, and %d runs", hits.Load(), len(s.runs))
	}
}

// After an invalidation has returned, nothing older is answered.
func TestInvalidated(t *testing.T) {
	var hits atomic.Int64
	s := newSite(t, counted(&hits), middleware.Options{}, minutely)
	c := s.dial()
	for i := range 50 {
		for range 4 {
			c.do(get("/a"))
		}
		if _, err := s.cache.InvalidateURL(background(), "http://example.com/a"); err != nil {
			t.Fatal(err)
		}
		if res, _ := c.do(get("/a")); strings.Contains(res.Header.Get("Cache-Status"), "hit") {
			t.Fatalf("%d: a hit after an invalidation: %v", i, res.Header)
		}
	}
	if hits.Load() < 100 {
		t.Errorf("%d hits were the front's", hits.Load())
	}
}

// The fields of a hit are those of the very response whose content follows, also when that has just taken
// another one's place, and where several are stored for one target.
func TestFieldsAndContentBelongTogether(t *testing.T) {
	made := 0
	s := newSite(t, &Front{}, middleware.Options{}, func(s *site) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", s.cache.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				made++
				w.Header().Set("Vary", "Accept-Language")
				w.Header().Set("X-Made", fmt.Sprint(made))
				w.Header().Set("Etag", fmt.Sprintf("%q", fmt.Sprint(made)))
				fmt.Fprint(w, made)
			})))
		return mux
	})
	c := s.dial()
	for range 20 {
		for i := range 40 {
			res, body := c.do(get("/a", "Accept-Language: "+[]string{"de", "en"}[i/3%2]))
			if res.Header.Get("X-Made") != body || res.Header.Get("Etag") != fmt.Sprintf("%q", body) {
				t.Fatalf("%d: %v with the content %s", i, res.Header, body)
			}
			res, _ = c.do(get("/a", "Accept-Language: de", "If-None-Match: "+res.Header.Get("Etag")))
			if etag := res.Header.Get("Etag"); res.StatusCode == 304 && etag != fmt.Sprintf("%q", res.Header.Get("X-Made")) {
				t.Fatalf("%d: a 304 with %v", i, res.Header)
			}
		}
		if _, err := s.cache.InvalidateURL(background(), "http://example.com/a"); err != nil {
			t.Fatal(err)
		}
	}
	if made < 40 || s.front.answered() < 800 {
		t.Errorf("%d runs, %d hits in front", made, s.front.answered())
	}
}

// A server with another handler than the cache's root, or none, is not served: what is around the
// root would be left out.
func TestOnlyTheRoot(t *testing.T) {
	cache := middleware.New(memstore.New(1<<20), middleware.Options{})
	root := cache.Root(http.NewServeMux())
	for name, h := range map[string]http.Handler{
		"none": nil, "another": http.NotFoundHandler(), "around it": http.StripPrefix("/x", root),
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := Serve(&http.Server{Handler: h}, l, cache); err == nil || !strings.Contains(err.Error(), "Root") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := l.Accept(); err == nil {
			t.Errorf("%s: the listener is open", name)
		}
	}
	if err := (&Front{Targets: -1}).ListenAndServe(&http.Server{Addr: "127.0.0.1:0", Handler: root}, cache); err == nil ||
		!strings.Contains(err.Error(), "-1 targets") {
		t.Error(err)
	}
}

// signIn lets nobody in without a name, and leaves no trace in the response.
type signIn struct{ next http.Handler }

func (s signIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Name") == "" {
		http.Error(w, "who are you?", http.StatusForbidden)
		return
	}
	s.next.ServeHTTP(w, r)
}

// Where a function of the app stands between the root and the mount, its pages are left to
// net/http, and the log names it, once; unless it may be skipped.
func TestWhatStandsBetween(t *testing.T) {
	between := func(s *site) http.Handler { return signIn{minutely(s)} }
	for _, test := range []struct {
		name string
		skip []string
		hits int64
		log  int
	}{
		{"nobody may", nil, 0, 1},
		{"another may", []string{"main.signIn.ServeHTTP"}, 0, 1},
		{"it may", []string{"github.com/freshet-go/freshet/middleware/front.signIn.ServeHTTP"}, 6, 0},
		{"all of its package may", []string{"github.com/freshet-go/freshet/middleware/front.*"}, 6, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var hits atomic.Int64
			var log strings.Builder
			f := counted(&hits)
			f.Skip = test.skip
			s := newSite(t, f, middleware.Options{
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo})),
			}, between)
			c := s.dial()
			for range 8 {
				c.do(get("/a", "X-Name: Ann"))
			}
			res, _ := c.do(get("/a"))
			if stands := hits.Load() == 0; stands != (res.StatusCode == http.StatusForbidden) {
				t.Errorf("%s with %d hits in front", res.Status, hits.Load())
			}
			if got := strings.Count(log.String(), "front.signIn.ServeHTTP stands between"); got != test.log {
				t.Errorf("the log names it %d times:\n%s", got, log.String())
			}
			if want := test.hits; hits.Load() < want || want == 0 && hits.Load() > 0 {
				t.Errorf("%d hits in front, want %d", hits.Load(), want)
			}
		})
	}
}

// What a handler outside sets in the header, or a writer that it puts around the client's, is not
// lost: such pages are net/http's.
func TestWhatHandlersOutsideDo(t *testing.T) {
	type writer struct{ http.ResponseWriter }
	for name, outside := range map[string]func(next http.Handler) http.Handler{
		"a field": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Frame-Options", "DENY")
				next.ServeHTTP(w, r)
			})
		},
		"a writer": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(writer{w}, r) })
		},
		"a request": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("X-Name", "Ann")
				next.ServeHTTP(w, r.Clone(r.Context()))
			})
		},
		"a prefix":     func(next http.Handler) http.Handler { return http.StripPrefix("/a", next) },
		"a time limit": func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "late") },
		"a slash": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path += "/"
				next.ServeHTTP(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var hits atomic.Int64
			f := counted(&hits)
			f.Skip = []string{"*"}
			s := newSite(t, f, middleware.Options{}, func(s *site) http.Handler { return outside(minutely(s)) })
			c := s.dial()
			for range 6 {
				c.do(get("/a"))
			}
			if hits.Load() > 0 {
				t.Errorf("%d hits in front", hits.Load())
			}
		})
	}
}

// OnHit sets fields, and a cookie among them is its client's own.
func TestOnHit(t *testing.T) {
	f := &Front{OnHit: func(h http.Header, r *http.Request) {
		h.Set("X-Request-Id", "7")
		if r.Header.Get("X-Want") != "" {
			h.Set("Set-Cookie", "id=7")
		}
	}}
	s := newSite(t, f, middleware.Options{}, minutely)
	c := s.dial()
	for range 2 {
		c.do(get("/a"))
	}
	res, _ := c.do(get("/a"))
	if res.Header.Get("X-Request-Id") != "7" || res.Header.Get("Cache-Control") != "max-age=60" {
		t.Errorf("%v", res.Header)
	}
	res, _ = c.do(get("/a", "X-Want: 1"))
	if res.Header.Get("Set-Cookie") != "id=7" || !strings.Contains(res.Header.Get("Cache-Control"), "private") {
		t.Errorf("a cookie with %v", res.Header)
	}
	if res, _ = c.do(get("/a")); res.Header.Get("Set-Cookie") != "" {
		t.Errorf("the next client's %v", res.Header)
	}
}

// An observer hears of hits in front as of any other, with the route and its wildcards, and may
// keep the request.
func TestObserved(t *testing.T) {
	type seen struct {
		r *http.Request
		e middleware.Event
	}
	var mu sync.Mutex
	var all []seen
	var hits atomic.Int64
	s := newSite(t, counted(&hits), middleware.Options{Observe: func(r *http.Request, e middleware.Event) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, seen{r, e})
	}}, func(s *site) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("GET /p/{id}", s.cache.With(policy.Policy{TTL: time.Minute, Resource: ""})(http.HandlerFunc(s.page)))
		return mux
	})
	c := s.dial()
	for i := range 12 {
		c.do(get(fmt.Sprintf("/p/%d", i%3), fmt.Sprintf("X-I: %d", i)))
	}
	if hits.Load() != 6 {
		t.Errorf("%d hits in front", hits.Load())
	}
	for observed := 0; observed < 12; time.Sleep(time.Millisecond) { // after the client has its response
		mu.Lock()
		observed = len(all)
		mu.Unlock()
	}
	mu.Lock()
	defer mu.Unlock()
	for i, seen := range all {
		id := fmt.Sprint(i % 3)
		if seen.r.Pattern != "GET /p/{id}" || seen.r.PathValue("id") != id || seen.r.RequestURI != "/p/"+id ||
			seen.r.Header.Get("X-I") != fmt.Sprint(i) || seen.e.Status != 200 || seen.e.Bytes != 13 ||
			seen.e.Hit != (i >= 3) {
			t.Errorf("%d: %s %s %v: %+v", i, seen.r.Pattern, seen.r.RequestURI, seen.r.Header, seen.e)
		}
	}
}

// A cache around the whole app answers in front by its Options.Policy; one on a route behind a
// router does not where functions of the app are to choose.
func TestFunctionsOfTheApp(t *testing.T) {
	by := middleware.Options{Policy: func(r *http.Request) *policy.Policy {
		if r.Header.Get("X-None") != "" {
			return &nothing
		}
		return &minute
	}}
	scoped := policy.Policy{TTL: time.Minute, Credentials: func(r *http.Request) bool { return r.PathValue("x") != "" }}
	for _, test := range []struct {
		name   string
		o      middleware.Options
		routes func(*site) http.Handler
		hits   int64
	}{
		{"around the app", by, func(s *site) http.Handler { return s.cache.Handler(http.HandlerFunc(s.page)) }, 4},
		{"on a route", by, func(s *site) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/", s.cache.Handler(http.HandlerFunc(s.page)))
			return mux
		}, 0},
		{"a policy's", middleware.Options{}, func(s *site) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/{x}", s.cache.With(scoped)(http.HandlerFunc(s.page)))
			return mux
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var hits atomic.Int64
			s := newSite(t, counted(&hits), test.o, test.routes)
			c := s.dial()
			for range 6 {
				c.do(get("/a"))
			}
			if hits.Load() != test.hits {
				t.Errorf("%d hits in front, want %d", hits.Load(), test.hits)
			}
			if res, _ := c.do(get("/a", "X-None: 1")); test.hits > 0 && res.Header.Get("Cache-Control") != "" {
				t.Errorf("by another policy: %v", res.Header)
			}
		})
	}
}

var minute, nothing = policy.Policy{TTL: time.Minute}, policy.Policy{Pass: true}

// The values of BaseContext and ConnContext are in what an observer gets, and net/http's own.
func TestContexts(t *testing.T) {
	type key string
	got := make(chan []any, 1)
	s := &site{t: t, runs: make(chan string, 10)}
	s.cache = middleware.New(memstore.New(1<<20), middleware.Options{Observe: func(r *http.Request, _ middleware.Event) {
		ctx := r.Context()
		got <- []any{ctx.Value(key("base")), ctx.Value(key("conn")), ctx.Value(http.ServerContextKey) == s.srv,
			fmt.Sprint(ctx.Value(http.LocalAddrContextKey)) == s.addr, r.RemoteAddr != ""}
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.srv = &http.Server{Handler: s.cache.Root(minutely(s)),
		BaseContext: func(net.Listener) stdcontext.Context { return stdcontext.WithValue(background(), key("base"), 1) },
		ConnContext: func(ctx stdcontext.Context, nc net.Conn) stdcontext.Context {
			return stdcontext.WithValue(ctx, key("conn"), nc.(interface{ NetConn() net.Conn }).NetConn().LocalAddr().String())
		}}
	go Serve(s.srv, l, s.cache)
	t.Cleanup(func() { s.srv.Close() })
	c := s.dial()
	for i := range 4 {
		c.do(get("/a"))
		want := fmt.Sprint([]any{1, s.addr, true, true, true})
		if got := fmt.Sprint(<-got); got != want {
			t.Errorf("%d: %v, want %s", i, got, want)
		}
	}
}
