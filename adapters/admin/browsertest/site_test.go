package browsertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

const token = "a token of 24 characters"

// site is an app with a door. Its handler is the method page.
type site struct {
	t       *testing.T
	options freshet.Options
	store   store.Store // nil: one in memory, of its own
	journal store.Journal

	listener net.Addr
	cache    *freshet.Cache
	app      http.Handler
	tokens   atomic.Pointer[string] // the token that opens the door
	wait     atomic.Pointer[chan struct{}] // not nil: the door holds requests until it is closed
	slow     chan struct{} // closed: pages below /slow end
	closes   func()
}

// newSite starts a site. The options and the store are those of its cache.
func newSite(t *testing.T, o freshet.Options, s store.Store) *site {
	t.Helper()
	site := &site{t: t, options: o, store: s}
	site.start("127.0.0.1:0")
	t.Cleanup(func() { site.stop() })
	return site
}

// start starts the app at an address.
func (s *site) start(address string) {
	s.t.Helper()
	pages := s.store
	closePages := func() {}
	if pages == nil {
		memory := memstore.New(64 << 20)
		pages, closePages = memory, func() { memory.Close() }
	}
	watch, log := admin.NewWatch(), slog.New(slog.DiscardHandler)
	o := s.options
	o.Observe, o.Log = watch.Observe, log
	s.cache = freshet.New(pages, o)
	right := token
	s.tokens.Store(&right)
	door := admin.New(s.cache, watch, admin.Options{Log: log, Authenticate: s.mayEnter})
	policy := freshet.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour,
		Tags: []string{"pages"}}
	mux := http.NewServeMux()
	mux.Handle("/__freshet__/", http.StripPrefix("/__freshet__", door))
	mux.Handle("/", s.cache.With(policy)(http.HandlerFunc(s.page)))
	s.app = s.cache.Root(mux)
	l, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.listener = l.Addr()
	server := &http.Server{Handler: s.app, ErrorLog: slog.NewLogLogger(log.Handler(), 0)}
	go server.Serve(l)
	s.closes = func() {
		server.Close()
		s.cache.Shutdown(context.Background())
		closePages()
	}
}

// stop ends the app.
func (s *site) stop() {
	if s.closes != nil {
		s.closes()
	}
	s.closes = nil
}

// mayEnter authenticates by the token of the moment. While the site holds its door, it does not
// answer.
func (s *site) mayEnter(r *http.Request) bool {
	if held := s.wait.Load(); held != nil {
		select {
		case <-*held:
		case <-r.Context().Done():
		}
	}
	return admin.Tokens(*s.tokens.Load())(r)
}

// address is where the app is, such as "127.0.0.1:8080".
func (s *site) address() string { return s.listener.String() }

// door is the URL of the page, with the token.
func (s *site) door() string {
	return (&url.URL{Scheme: "http", User: url.UserPassword("operator", token),
		Host: s.address(), Path: "/__freshet__/"}).String()
}

// page is the app. A path says what its page is like.
func (s *site) page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
	case "private":
		h.Set("Cache-Control", "private")
	case "cart":
		h.Set("Cache-Control", "no-store")
	case "validated":
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", `"one"`)
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	fmt.Fprintf(w, "<p>%s</p>\n", r.URL.Path)
	if strings.HasPrefix(r.URL.Path, "/slow/") {
		http.NewResponseController(w).Flush()
		<-s.slow
	}
}

// visit asks the app for pages, as clients do, without a connection.
func (s *site) visit(paths ...string) {
	for _, path := range paths {
		s.ask(http.MethodGet, path)
	}
}

// ask sends a request. The path is as the handler sees it, whatever it contains.
func (s *site) ask(method, path string, fields ...string) {
	r := httptest.NewRequest(method, "http://"+s.address()+"/", nil)
	r.URL.Path, r.RequestURI = path, (&url.URL{Path: path}).RequestURI()
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	s.app.ServeHTTP(w, r)
	io.Copy(io.Discard, w.Result().Body)
}

// together has two clients ask for a page below /slow, one of which makes it while the other reads
// along.
func (s *site) together(path string) {
	s.slow = make(chan struct{})
	var both sync.WaitGroup
	for range 2 {
		w := &firstByte{httptest.NewRecorder(), make(chan struct{}), sync.Once{}}
		both.Go(func() {
			s.app.ServeHTTP(w, httptest.NewRequest("GET", "http://"+s.address()+path, nil))
		})
		<-w.came
	}
	close(s.slow)
	both.Wait()
}

// firstByte says when the first byte of a body has come.
type firstByte struct {
	*httptest.ResponseRecorder
	came chan struct{}
	once sync.Once
}

func (w *firstByte) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.came) })
	return w.ResponseRecorder.Write(p)
}
