package fronttest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/varnish"
	"github.com/freshet-go/freshet/adapters/publicorigin"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { testserver.Main(m) }

const (
	public = "www.example.test" // the host that clients ask for
	origin = "origin.internal"  // the host by which the cache in front asks the app
	secret = "s3cret-of-purges"
)

// seen is a request that came to the app, and its answer's status.
type seen struct {
	method, target, ifNoneMatch string
	status                      int
	secret                      bool // it had a Purge-Key
}

// app is an app with Freshet. Each run of a handler counts.
type app struct {
	*httptest.Server
	handlers http.Handler // of serve, which is called before the first request

	cache  *freshet.Cache
	outbox *cdn.Outbox
	runs   atomic.Int64

	mu       sync.Mutex
	seen     []seen
	versions map[string]string // of /page/{name}, by name; "": 1
}

// startApp starts an app that has an address, and no pages before serve.
func startApp(t *testing.T) *app {
	a := &app{versions: map[string]string{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.handlers.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Server.Close)
	return a
}

// serve has the app answer by Freshet, with purges that go to the outbox.
func (a *app) serve(t *testing.T, target cdn.Target, onHeader func(int, http.Header)) {
	outbox, err := cdn.New(cdn.Options{Targets: []cdn.Target{target}, Hosts: map[string][]string{public: nil},
		Delay: -1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a.outbox = outbox
	pages := memstore.New(16 << 20)
	a.cache = freshet.New(pages, freshet.Options{OnInvalidate: outbox.OnInvalidate, OnHeader: onHeader})
	t.Cleanup(func() {
		// What a target refuses for good stays owed: the tests see that, and Close need not.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		outbox.Close(ctx)
		a.cache.Shutdown(context.Background())
		pages.Close()
	})
	mux := http.NewServeMux()
	a.routes(mux)
	a.handlers = publicorigin.Origin{Host: public, Scheme: "http"}.Handler(a.cache.Root(a.counted(mux)))
}

// forNginx tells nginx, which does not read CDN-Cache-Control, how long it may keep a page.
func forNginx(_ int, h http.Header) {
	lifetime, ok := strings.CutPrefix(h.Get("CDN-Cache-Control"), "max-age=")
	seconds, err := strconv.Atoi(lifetime)
	if !ok || err != nil {
		return
	}
	age, _ := strconv.Atoi(h.Get("Age"))
	h.Set("X-Accel-Expires", strconv.Itoa(max(seconds-age, 0)))
}

func (a *app) routes(mux *http.ServeMux) {
	minute := freshet.Policy{TTL: time.Minute}
	shared := freshet.Policy{TTL: time.Hour, CDNTTL: time.Hour, ClientTTL: time.Second, Shared: true,
		SendTags: []string{varnish.TagField}, Tags: []string{"pages"}}
	mux.Handle("/marked", a.cache.With(minute)(a.handler(nil)))
	mux.Handle("/cdn", a.cache.With(shared)(a.handler(nil)))
	mux.Handle("/unmarked", a.cache.With(freshet.Policy{})(a.handler(nil)))
	mux.Handle("/off", a.cache.With(freshet.Policy{Off: true})(a.handler(nil)))
	for path, fields := range map[string]http.Header{
		"/own":      {"Cache-Control": {"max-age=60"}},
		"/private":  {"Cache-Control": {"private, max-age=60"}},
		"/no-store": {"Cache-Control": {"no-store"}},
		"/no-cache": {"Cache-Control": {"no-cache"}},
		"/cookie":   {"Set-Cookie": {"session=abc"}},
		"/vary":     {"Vary": {"Accept-Language"}},
		"/validators": {"Etag": {`"v1"`}, "Last-Modified": {"Mon, 02 Nov 2026 10:00:00 GMT"},
			"Expires": {"Fri, 01 Jan 2100 00:00:00 GMT"}, "Cache-Control": {"max-age=3600"},
			"Next-Page": {"http://" + public + "/validators?_token=n0nce"}, "Total-Records": {"42"},
			"Content-Language": {"cy"}},
		// X-Accel-Expires makes it stale at once for nginx
		"/past": {"Etag": {`"v1"`}, "X-Accel-Expires": {"@1"}},
	} {
		mux.Handle(path, a.cache.With(minute)(a.handler(fields)))
	}
	mux.Handle("/plain", a.handler(http.Header{"Cache-Control": {"max-age=60"}})) // not Freshet's
	mux.Handle("/links", a.cache.With(minute)(http.HandlerFunc(a.links)))
	mux.Handle("/moved", a.cache.With(minute)(http.HandlerFunc(a.links)))
	mux.Handle("/cors", a.cache.With(minute)(http.HandlerFunc(a.cors)))
	mux.Handle("/rows", a.cache.With(shared)(http.HandlerFunc(rows)))
	mux.Handle("/page/{name}", a.cache.With(shared)(http.HandlerFunc(a.page)))
}

// rows answers with a page that read many rows, whose tags take more than 4 KiB.
func rows(w http.ResponseWriter, r *http.Request) {
	for i := range 60 {
		freshet.Reads(r.Context(), "product", fmt.Sprint(strings.Repeat("x", 80), i))
	}
	fmt.Fprint(w, "rows")
}

// counted notes each request.
func (a *app) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{r.Method, r.RequestURI, r.Header.Get("If-None-Match"), 200, r.Header["Purge-Key"] != nil}
		next.ServeHTTP(&noted{w, &s.status}, r)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.seen = append(a.seen, s)
	})
}

type noted struct {
	http.ResponseWriter
	status *int
}

func (n *noted) WriteHeader(status int) {
	*n.status = status
	n.ResponseWriter.WriteHeader(status)
}

func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// came returns what came to the app since it was last asked.
func (a *app) came() []seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	came := a.seen
	a.seen = nil
	return came
}

// handler answers with its run's number, who asked for what, and fields.
func (a *app) handler(fields http.Header) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range fields {
			w.Header()[name] = values
		}
		if fields["Etag"] != nil {
			io.WriteString(w, "always the same")
			return
		}
		fmt.Fprintf(w, "run %d of %s for %q, in %q", a.runs.Add(1), r.URL, r.Header.Get("Authorization")+
			r.Header.Get("Cookie"), r.Header.Get("Accept-Language"))
	})
}

// links answers with absolute URLs, made of the host that the app sees.
func (a *app) links(w http.ResponseWriter, r *http.Request) {
	self := "http://" + r.Host
	w.Header().Set("Content-Location", self+"/links.en")
	w.Header().Set("Link", "<"+self+`/links?_page=2>; rel="next"`)
	w.Header().Set("Next-Page", self+"/links?_page=2")
	if r.URL.Path == "/moved" {
		http.Redirect(w, r, self+"/links", http.StatusMovedPermanently)
		return
	}
	io.WriteString(w, self)
}

// cors answers each origin by its name, as CORS middleware inside the cache does.
func (a *app) cors(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Origin")
	if from := r.Header.Get("Origin"); from != "" {
		w.Header().Set("Access-Control-Allow-Origin", from)
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Methods", "GET, OPTIONS")
		w.Header().Set("Access-Control-Max-Age", "3600")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	fmt.Fprintf(w, "run %d", a.runs.Add(1))
}

// page is a page with a version, which a POST changes. Its tag is its name.
func (a *app) page(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if r.Method == http.MethodPost {
		a.change(name, "2")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	freshet.FromContext(r.Context()).Tag("page:" + name)
	a.mu.Lock()
	defer a.mu.Unlock()
	version := a.versions[name]
	w.Header().Set("Etag", strconv.Quote("version "+version))
	fmt.Fprintf(w, "%s, version %s", name, version)
}

func (a *app) change(name, version string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.versions[name] = version
}
