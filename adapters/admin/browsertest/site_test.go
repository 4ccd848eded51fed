package browsertest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

	address string // such as "127.0.0.1:8080"
	cache   *freshet.Cache
	app     atomic.Pointer[http.Handler]  // nil: the app is down, and connections to it break
	token   atomic.Pointer[string]        // that opens the door
	hold    atomic.Pointer[chan struct{}] // not nil: the door answers when it is closed
	slow    chan struct{}                 // closed: pages below /slow end
	takes   time.Duration                 // that a page takes, more or less
	end     func()                        // of the app

	mu   sync.Mutex
	runs map[string]int // of the handler, by path
}

// newSite starts a site. The options and the store are those of its cache; without a store it has
// one in memory.
func newSite(t *testing.T, o freshet.Options, pages store.Store) *site {
	t.Helper()
	s := &site{t: t, options: o, store: pages, runs: map[string]int{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Start()
	s.address = server.Listener.Addr().String()
	s.start()
	t.Cleanup(func() {
		s.stop()
		server.Close()
	})
	return s
}

// serve gives a request to the app, while it runs.
func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	app := s.app.Load()
	if app == nil {
		panic(http.ErrAbortHandler)
	}
	(*app).ServeHTTP(w, r)
}

// start starts the app.
func (s *site) start() {
	s.t.Helper()
	pages, closePages := s.store, func() {}
	if pages == nil {
		memory := memstore.New(64 << 20)
		pages, closePages = memory, func() { memory.Close() }
	}
	watch, log, o := admin.NewWatch(), slog.New(slog.DiscardHandler), s.options
	o.Observe, o.Log = watch.Observe, log
	s.cache = freshet.New(pages, o)
	s.opensTo(token)
	door := admin.New(s.cache, watch, admin.Options{Log: log, Authenticate: s.mayEnter})
	policy := freshet.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour,
		Tags: []string{"pages"}}
	mux := http.NewServeMux()
	mux.Handle("/__freshet__/", http.StripPrefix("/__freshet__", door))
	mux.Handle("/", s.cache.With(policy)(http.HandlerFunc(s.page)))
	app := s.cache.Root(mux)
	s.app.Store(&app)
	s.end = func() {
		s.app.Store(nil)
		s.cache.Shutdown(context.Background())
		closePages()
	}
}

// stop ends the app, if it runs.
func (s *site) stop() {
	if s.app.Load() != nil {
		s.end()
	}
}

// opensTo changes the token that opens the door.
func (s *site) opensTo(token string) { s.token.Store(&token) }

// mayEnter authenticates by the token of the moment.
func (s *site) mayEnter(r *http.Request) bool {
	if held := s.hold.Load(); held != nil {
		select {
		case <-*held:
		case <-r.Context().Done():
		}
	}
	return admin.Tokens(*s.token.Load())(r)
}

// door is the URL of the page, with the token.
func (s *site) door() string {
	return (&url.URL{Scheme: "http", User: url.UserPassword("operator", token),
		Host: s.address, Path: "/__freshet__/"}).String()
}

// page is the app. A path says what its page is like.
func (s *site) page(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.runs[r.URL.Path]++
	s.mu.Unlock()
	if s.takes > 0 {
		time.Sleep(s.takes/2 + rand.N(s.takes))
	}
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

// ran returns how often the handler ran for a path.
func (s *site) ran(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[path]
}

// visit asks the app for pages, as clients do, by what stands in their URLs behind the host.
func (s *site) visit(targets ...string) {
	for _, target := range targets {
		s.ask(http.MethodGet, target)
	}
}

// ask sends the app a request.
func (s *site) ask(method, target string, fields ...string) {
	r := httptest.NewRequest(method, target, nil)
	r.Host = s.address
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	s.serve(httptest.NewRecorder(), r)
}

// together has two clients ask for a page below /slow, one of which makes it while the other reads
// along.
func (s *site) together(path string) {
	s.slow = make(chan struct{})
	var both sync.WaitGroup
	for range 2 {
		w := &firstByte{httptest.NewRecorder(), make(chan struct{}), sync.Once{}}
		both.Go(func() {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = s.address
			s.serve(w, r)
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
