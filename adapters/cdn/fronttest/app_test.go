package fronttest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
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
		// past its time at once, as nginx is told
		"/past": {"Etag": {`"v1"`}, "X-Accel-Expires": {"@1"}},
	} {
		mux.Handle(path, a.cache.With(minute)(a.handler(fields)))
	}
	mux.Handle("/plain", a.handler(http.Header{"Cache-Control": {"max-age=60"}})) // not Freshet's
	mux.Handle("/links", a.cache.With(minute)(http.HandlerFunc(a.links)))
	mux.Handle("/moved", a.cache.With(minute)(http.HandlerFunc(a.links)))
	mux.Handle("/cors", a.cache.With(minute)(http.HandlerFunc(a.cors)))
	mux.Handle("/page/{name}", a.cache.With(shared)(http.HandlerFunc(a.page)))
}

// counted notes each request.
func (a *app) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{r.Method, r.RequestURI, r.Header.Get("If-None-Match"), 200}
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

// front is a cache in front of an app.
type front struct {
	name   string
	app    *app
	server *testserver.Server
	client *http.Client
}

// sample returns a configuration of examples/cdn for an app, whose host it does not pass on, with
// other words in the place of the sample's, each of which must be there.
func sample(t *testing.T, name string, words ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../../examples/cdn/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(words); i += 2 {
		if !strings.Contains(string(text), words[i]) {
			t.Fatalf("examples/cdn/%s has no %q", name, words[i])
		}
	}
	return strings.NewReplacer(words...).Replace(string(text))
}

func startNginx(t *testing.T, a *app) (f *front, folder string) {
	address := a.Listener.Addr().String()
	s := testserver.Nginx(t, func(s *testserver.Server) string {
		folder = s.Dir + "/pages"
		return sample(t, "nginx.conf", "/var/cache/nginx/freshet", folder,
			"server 127.0.0.1:8081;", "server "+address+";", "server 127.0.0.1:8082;", "",
			"127.0.0.1:8000", s.Addr, "PURGE_KEY", secret, "Host $host;", "Host "+origin+";")
	})
	return newFront(t, "nginx", a, s), folder
}

func startVarnish(t *testing.T, a *app) *front {
	_, port, _ := net.SplitHostPort(a.Listener.Addr().String())
	s := testserver.Varnish(t, func(*testserver.Server) string {
		return sample(t, "default.vcl", `"8081"`, strconv.Quote(port), `"8082"`, strconv.Quote(port),
			"PURGE_KEY", secret) + "sub vcl_backend_fetch { set bereq.http.Host = \"" + origin + "\"; }\n"
	})
	return newFront(t, "varnish", a, s)
}

func newFront(t *testing.T, name string, a *app, s *testserver.Server) *front {
	transport := &http.Transport{DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Addr)
		}}
	t.Cleanup(transport.CloseIdleConnections)
	return &front{name, a, s, &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what a client got.
type answer struct {
	status int
	cache  string // X-Cache-Status
	header http.Header
	body   string
	came   []seen // what came to the app meanwhile
}

// ask asks the front, and sees that no answer names the origin. Fields are names and values.
func (f *front) ask(t *testing.T, method, target string, fields ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+public+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	f.app.came()
	res, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(bufio.NewReader(res.Body))
	if err != nil {
		t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header.Get("X-Cache-Status"), res.Header, string(body), f.app.came()}
	all := fmt.Sprint(a.header, a.body)
	for _, name := range []string{origin, f.app.Listener.Addr().String()} {
		if strings.Contains(all, name) {
			t.Errorf("%s %s: the answer names the origin's host %s: %s", method, target, name, all)
		}
	}
	for _, name := range []string{"Xkey", "Cdn-Cache-Control", "X-Accel-Expires", "Purge-Key"} {
		if a.header[name] != nil {
			t.Errorf("%s %s: the client got %s: %q", method, target, name, a.header[name])
		}
	}
	return a
}

// kept reports whether the front answered by itself.
func (a answer) kept() bool { return len(a.came) == 0 && a.cache == "HIT" }

func (a answer) String() string {
	return fmt.Sprintf("%d %s %q, asked the app %v", a.status, a.cache, a.body, a.came)
}
