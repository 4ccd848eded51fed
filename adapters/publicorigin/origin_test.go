package publicorigin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/adapters/publicorigin"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ledger is a store that remembers the keys and URIs of what was put into it.
type ledger struct {
	*memstore.Store
	mu   sync.Mutex
	text strings.Builder
}

func (l *ledger) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	l.mu.Lock()
	fmt.Fprintln(&l.text, key, e.URI, e.Header, string(e.Body))
	l.mu.Unlock()
	return l.Store.Set(ctx, key, e, ttl)
}

// links is an app that makes links of all by which apps find out their host.
func links(runs *int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*runs++
		host, scheme := r.Host, "http"
		for _, name := range []string{"X-Forwarded-Host", "X-Host", "X-Original-Host",
			"X-Forwarded-Server", "Host",
			"X-Http-Host-Override", "Forwarded"} {
			if v := r.Header.Get(name); v != "" {
				host = v
			}
		}
		if r.URL.Host != "" {
			host = r.URL.Host
		}
		if v := r.Header.Get("X-Forwarded-Proto"); v != "" || r.TLS != nil {
			scheme = "https"
		}
		if v := r.Header.Get("X-Forwarded-Port"); v != "" {
			host += ":" + v
		}
		base := scheme + "://" + host
		w.Header().Set("Content-Location", base+r.URL.Path)
		w.Header().Set("Link", "<"+base+"/next>; rel=next")
		w.Header().Set("Next-Page", base+"/page?_token=1")
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/moved" {
			w.Header().Set("Location", base+"/here")
			w.WriteHeader(301)
		}
		fmt.Fprintf(w, "see %s/ and %s", base, r.RequestURI)
	})
}

// raw sends a request as it is written, and returns the whole answer as text.
func raw(t *testing.T, addr, text string) (status string, whole string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")+"Connection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return answer.Header.Get("Cache-Status"), fmt.Sprint(answer.StatusCode, answer.Header,
		string(body))
}

// Whatever host, scheme and port a request names, and by whatever field, all requests get one page,
// of the public origin: no answer, no key and nothing stored has another host.
func TestHostPoisoning(t *testing.T) {
	l := &ledger{Store: memstore.New(64 << 20)}
	defer l.Close()
	c := middleware.New(l, middleware.Options{})
	defer c.Shutdown(context.Background())
	runs := 0
	origin := publicorigin.Origin{Host: "Public.example", Scheme: "https"}
	server := httptest.NewServer(origin.Handler(c.Root(c.With(policy.Policy{})(links(&runs)))))
	defer server.Close()
	addr := server.Listener.Addr().String()
	requests := []string{
		"GET /x HTTP/1.1\nHost: internal.evil\n",
		"GET /x HTTP/1.1\nHost: public.example\n",
		"GET /x HTTP/1.1\nHost: PUBLIC.example:443\n",
		"GET /x HTTP/1.1\nHost: internal.evil:8080\n",
		"GET /x HTTP/1.1\nHost: internal.evil.\n",
		"GET http://internal.evil/x HTTP/1.1\nHost: public.example\n",
		"GET https://internal.evil:99/x HTTP/1.1\nHost: internal.evil\n",
		"GET /x HTTP/1.0\n",
		"GET /x HTTP/1.1\nHost: public.example\nX-Forwarded-Host: internal.evil\n",
		"GET /x HTTP/1.1\nHost: public.example\nx-forwarded-host: " +
			"internal.evil\nX-Forwarded-Host: internal.evil\n",
		"GET /x HTTP/1.1\nHost: public.example\nForwarded: host=internal.evil;proto=http\n",
		"GET /x HTTP/1.1\nHost: public.example\nForwarded: HOST=\"internal.evil\"\n",
		"GET /x HTTP/1.1\nHost: public.example\nForwarded: for=a;host=\"internal.evil\n",
		"GET /x HTTP/1.1\nHost: public.example\nForwarded: host=a\\;internal.evil\n",
		"GET /x HTTP/1.1\nHost: public.example\nX-Host: internal.evil\nX-Original-Host: " +
			"internal.evil\n",
		"GET /x HTTP/1.1\nHost: public.example\nX-Forwarded-Server: " +
			"internal.evil\nX-HTTP-Host-Override: internal.evil\n",
		"GET /x HTTP/1.1\nHost: public.example\nX-Forwarded-Port: 666\n",
		"GET /x HTTP/1.1\nHost: public.example\nX-Forwarded-Proto: http\nX-Forwarded-Scheme: " +
			"http\nX-Forwarded-Ssl: off\n",
	}
	for first := range requests { // each of them is the first to ask once
		if _, err := c.InvalidateAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		runs = 0
		for i := range requests {
			request := requests[(first+i)%len(requests)]
			status, whole := raw(t, addr, request)
			if i > 0 && !strings.Contains(status, "hit") {
				t.Errorf("%q after %q: %s, want a hit", request, requests[first], status)
			}
			if strings.Contains(whole, "evil") || strings.Contains(whole, "666") ||
				!strings.Contains(whole, "see https://public.example/ and /x") {
				t.Errorf("%q after %q: %s", request, requests[first], whole)
			}
		}
		if runs != 1 {
			t.Errorf("%d runs, want 1", runs)
		}
	}
	_, whole := raw(t, addr, "GET /moved HTTP/1.1\nHost: internal.evil\n")
	if !strings.Contains(whole, "Location:[https://public.example/here]") {
		t.Errorf("a redirect: %s", whole)
	}
	if stored := strings.ToLower(l.text.String()); strings.Contains(stored, "evil") ||
		!strings.Contains(stored, "public.example/x") {
		t.Errorf("stored is\n%s", stored)
	}
}

// Without it the same requests have entries of their own: nobody gets another's, and the app tells
// each what it named.
func TestWithoutAnOrigin(t *testing.T) {
	app := http.NotFoundHandler()
	if h := (publicorigin.Origin{}).Handler(app); fmt.Sprintf("%p", h) != fmt.Sprintf("%p", app) {
		t.Error("the zero Origin wraps the app")
	}
}

// A change through any host counts for all, and URLs of the origin name what is stored.
func TestInvalidation(t *testing.T) {
	pages := memstore.New(64 << 20)
	defer pages.Close()
	c := middleware.New(pages, middleware.Options{})
	defer c.Shutdown(context.Background())
	runs := 0
	h := publicorigin.Origin{Host: "public.example",
		Scheme: "https"}.Handler(c.Root(c.With(policy.Policy{})(links(&runs))))
	ask := func(method, url string) {
		r := httptest.NewRequest(method, url, nil)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	want := func(what string, n int) {
		t.Helper()
		ask("GET", "http://one.internal/x")
		if runs != n {
			t.Errorf("%s: %d runs, want %d", what, runs, n)
		}
	}
	want("the first", 1)
	want("again", 1)
	ask("PUT", "http://other.internal:8080/x")
	want("after a PUT by another host", 3)
	c.InvalidateURL(t.Context(), "https://public.example/x")
	want("after a purge", 4)
	c.InvalidatePrefix(t.Context(), "https://public.example/")
	want("after a purge of all", 5)
}

func TestOneOfBoth(t *testing.T) {
	var got *http.Request
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r })
	ask := func(o publicorigin.Origin) {
		r := httptest.NewRequest("GET", "http://internal/x", nil)
		r.Header.Set("X-Forwarded-Host", "named")
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("Forwarded", `for="[::1]:80";host=named;proto=https, for=10.0.0.1`)
		o.Handler(app).ServeHTTP(httptest.NewRecorder(), r)
		if r.Host != "internal" || r.Header.Get("X-Forwarded-Host") != "named" {
			t.Error("the request itself was changed")
		}
	}
	for _, each := range []struct {
		origin                                publicorigin.Origin
		host, forwardedHost, proto, forwarded string
	}{
		{publicorigin.Origin{Host: "a.example"}, "a.example", "", "https",
			`for="[::1]:80";proto=https, for=10.0.0.1`},
		{publicorigin.Origin{Scheme: "http"}, "internal", "named", "",
			`for="[::1]:80";host=named, for=10.0.0.1`},
		{publicorigin.Origin{Scheme: "https"}, "internal", "named", "https",
			`for="[::1]:80";host=named, for=10.0.0.1`},
	} {
		ask(each.origin)
		h := got.Header
		if got.Host != each.host || h.Get("X-Forwarded-Host") != each.forwardedHost ||
			h.Get("X-Forwarded-Proto") != each.proto ||
			h.Get("Forwarded") != each.forwarded {
			t.Errorf("%+v: Host %q, %v", each.origin, got.Host, h)
		}
	}
}

// The server removes the files of a form that the app has read.
func TestFormsAreTheServers(t *testing.T) {
	var body strings.Builder
	form := multipart.NewWriter(&body)
	file, _ := form.CreateFormFile("f", "f.txt")
	io.WriteString(file, "content")
	form.Close()
	r := httptest.NewRequest("POST", "/", strings.NewReader(body.String()))
	r.Header.Set("Content-Type", form.FormDataContentType())
	publicorigin.Origin{Host: "a.example"}.Handler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if r.MultipartForm == nil || len(r.MultipartForm.File["f"]) != 1 {
		t.Fatal("the server's own request has no form")
	}
	r.MultipartForm.RemoveAll()
}

func TestWrongOrigins(t *testing.T) {
	for _, o := range []publicorigin.Origin{
		{Host: "https://a.example"}, {Host: "a.example/x"}, {Host: "u@a.example"},
		{Host: "a.example:"}, {Host: ":80"},
		{Host: "a b"}, {Host: "a.example?x"}, {Host: "a,b"}, {Host: "a\r\nX: y"}, {Scheme: "ftp"},
		{Scheme: "HTTPS"},
	} {
		func() {
			defer func() {
				if text, ok := recover().(string); !ok || !strings.Contains(text, "allowed") {
					t.Errorf("%+v: the panic is %q", o, text)
				}
			}()
			o.Handler(http.NotFoundHandler())
		}()
	}
	for _, host := range []string{"a.example", "a.example:8080", "[::1]:80", "10.0.0.1"} {
		publicorigin.Origin{Host: host}.Handler(http.NotFoundHandler())
	}
}

func TestFromSettings(t *testing.T) {
	load := func(environ ...string) (publicorigin.Origin, error) {
		set, err := settings.Loader{Keys: publicorigin.Keys()}.Load("", environ)
		if err != nil {
			t.Fatal(err)
		}
		return publicorigin.FromSettings(set)
	}
	if o, err := load(); err != nil || o != (publicorigin.Origin{}) {
		t.Errorf("nothing set: %+v, %v", o, err)
	}
	o, err := load("FRESHET_HTTP_HOST=Public.example", "FRESHET_HTTP_SCHEME=https")
	if err != nil || o != (publicorigin.Origin{Host: "public.example", Scheme: "https"}) {
		t.Errorf("both set: %+v, %v", o, err)
	}
	for _, variable := range []string{"FRESHET_HTTP_HOST=http://x/", "FRESHET_HTTP_SCHEME=gopher"} {
		name, _, _ := strings.Cut(variable, "=")
		if _, err := load(variable); err == nil || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), "allowed") {
			t.Errorf("%s: %v", variable, err)
		}
	}
}
