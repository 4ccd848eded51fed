package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
)

// cluster is several upstreams with the proxy before them. Each says its name.
type cluster struct {
	*setup
	origins []*httptest.Server
	log     *shared
	mu      sync.Mutex
	asked   map[string]int // requests by upstream
	failing map[string]bool
}

// shared is a buffer that may be read while it is written.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newCluster(t *testing.T, n int, o proxy.Options) *cluster {
	t.Helper()
	c := &cluster{asked: map[string]int{}, failing: map[string]bool{}, log: &shared{},
		setup: &setup{t: t,
			client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}}
	var urls []*url.URL
	for i := range n {
		name := string(rune('a' + i))
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.answer(name, w, r)
		}))
		c.origins = append(c.origins, origin)
		u, err := url.Parse(origin.URL)
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, u)
	}
	o.Others, o.Log = urls[1:], slog.New(slog.NewTextHandler(c.log, nil))
	var err error
	if c.proxy, err = proxy.New(urls[0], o); err != nil {
		t.Fatal(err)
	}
	c.server = httptest.NewUnstartedServer(c.proxy)
	c.proxy.Attach(c.server.Config)
	c.server.Start()
	t.Cleanup(func() {
		c.server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.proxy.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		for _, origin := range c.origins {
			origin.Close()
		}
	})
	return c
}

func (c *cluster) answer(name string, w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	fails := c.failing[name]
	c.asked[name+" "+r.Method+" "+r.URL.Path]++
	c.mu.Unlock()
	switch {
	case r.URL.Path == "/health" && fails:
		w.WriteHeader(http.StatusInternalServerError)
	case r.URL.Path == "/hangs-up":
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(r.URL.Path, "/stale"):
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Age", "100")
		w.Header().Set("Etag", `"a"`)
	}
	io.WriteString(w, name)
}

func (c *cluster) fail(name string, fails bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing[name] = fails
}

func (c *cluster) count(request string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[request]
}

// says waits for a line of the log.
func (c *cluster) says(text string) {
	c.t.Helper()
	for !strings.Contains(c.log.String(), text) {
		if c.t.Context().Err() != nil {
			c.t.Fatalf("the log never said %q:\n%s", text, c.log)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRequestsAreSpread(t *testing.T) {
	c := newCluster(t, 3, proxy.Options{})
	got := map[string]int{}
	for i := range 9 {
		got[c.get(fmt.Sprintf("/%d", i)).body]++
	}
	if got["a"] != 3 || got["b"] != 3 || got["c"] != 3 {
		t.Errorf("%v, want three each", got)
	}
}

// A request that could not be sent goes to another upstream, if it is safe and has no body. The
// others get an error; the log has one line on the upstream that is gone.
func TestAnUpstreamIsGone(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		c := newCluster(t, 3, proxy.Options{})
		c.origins[1].Close()
		for i := range 12 {
			if got := c.do(method, fmt.Sprintf("/%d", i)); got.status != 200 || got.body == "b" {
				t.Errorf("%s: %d %q", method, got.status, got.body)
			}
		}
		if n := strings.Count(c.log.String(), "an upstream is down"); n != 1 {
			t.Errorf("%s: logged %d times:\n%s", method, n, c.log)
		}
	}
	c := newCluster(t, 2, proxy.Options{EjectFor: -1})
	c.origins[1].Close()
	statuses := map[int]int{}
	for range 6 {
		statuses[c.do("POST", "/").status]++
	}
	if statuses[200] != 3 || statuses[502] != 3 || c.count("a POST /") != 3 {
		t.Errorf("POSTs while one of two is gone: %v, and a got %d; want no second try", statuses,
			c.count("a POST /"))
	}
	statuses = map[int]int{}
	for range 6 {
		r, err := http.NewRequest("GET", c.server.URL+"/body", strings.NewReader("content"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		statuses[res.StatusCode]++
	}
	if statuses[200] != 3 || statuses[502] != 3 {
		t.Errorf("GETs with content while one of two is gone: %v, want no second try", statuses)
	}
}

// A request that an upstream may have seen goes nowhere else, whatever its method.
func TestNoSecondTryOfWhatWasSent(t *testing.T) {
	c := newCluster(t, 3, proxy.Options{})
	if got := c.get("/hangs-up"); got.status != 502 {
		t.Errorf("%d %q, want 502", got.status, got.body)
	}
	if n := c.count("a GET /hangs-up") + c.count("b GET /hangs-up") + c.count("c GET /hangs-up"); n != 1 {
		t.Errorf("%d upstreams got it, want one", n)
	}
}

// Requests that make upstreams hang up take down none for good: when all are ejected, the first is
// asked again.
func TestNobodyCanEjectAll(t *testing.T) {
	c := newCluster(t, 2, proxy.Options{EjectFor: time.Hour})
	for range 12 {
		c.get("/hangs-up")
	}
	for i := range 3 {
		if got := c.get(fmt.Sprintf("/%d", i)); got.status != 200 {
			t.Errorf("%d %q", got.status, got.body)
		}
	}
}

func TestAllAreGone(t *testing.T) {
	c := newCluster(t, 2, proxy.Options{})
	c.get("/stale")
	for _, origin := range c.origins {
		origin.Close()
	}
	for range 3 {
		if got := c.get("/stale"); got.status != 200 || !strings.Contains(got.cache(),
			"detail=lost") {
			t.Errorf("%d %q [%s], want what is stale", got.status, got.body, got.cache())
		}
		if got := c.get("/else"); got.status != 502 {
			t.Errorf("%d, want 502", got.status)
		}
	}
}

// While the checks of all fail, none is asked: what is stale stands in, and all else is 503. They
// are used again when their checks are good.
func TestAllFailTheirChecks(t *testing.T) {
	c := newCluster(t, 2, proxy.Options{Health: proxy.Health{Path: "/health",
		Interval: time.Millisecond, Fall: 1, Rise: 1}})
	c.get("/stale")
	c.fail("a", true)
	c.says("an upstream is down\" upstream=" + c.origins[0].URL)
	for i := range 6 {
		if got := c.get(fmt.Sprintf("/%d", i)); got.body != "b" {
			t.Errorf("%d %q, want b's answer", got.status, got.body)
		}
	}
	c.fail("b", true)
	c.says("an upstream is down\" upstream=" + c.origins[1].URL)
	got := c.get("/none")
	if got.status != 503 || got.header.Get("Retry-After") == "" || c.count("a GET /none")+
		c.count("b GET /none") > 0 {
		t.Errorf("%d %v, want 503 and nobody asked", got.status, got.header)
	}
	if got := c.get("/stale"); got.status != 200 {
		t.Errorf("%d %q [%s], want what is stale", got.status, got.body, got.cache())
	}
	c.fail("b", false)
	c.says("an upstream is up again\" upstream=" + c.origins[1].URL)
	if got := c.get("/again"); got.body != "b" {
		t.Errorf("%d %q, want b's answer", got.status, got.body)
	}
}

// Each upstream has its own path, and its own host where the client's is replaced.
func TestEachUpstreamsOwnURL(t *testing.T) {
	tell := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Host, r.RequestURI)
	})
	a, b := httptest.NewServer(tell), httptest.NewServer(tell)
	defer a.Close()
	defer b.Close()
	first, _ := url.Parse(a.URL + "/one/")
	second, _ := url.Parse(b.URL)
	p, err := proxy.New(first, proxy.Options{Others: []*url.URL{second}, ReplaceHost: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	got := map[string]bool{}
	for range 2 {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", "http://site.example/x?y", nil))
		got[w.Body.String()] = true
	}
	if !got[first.Host+" /one/x?y"] || !got[second.Host+" /x?y"] {
		t.Errorf("%v", got)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/../up", nil))
	if w.Code != http.StatusBadRequest {
		t.Errorf("a path that leads above one upstream's: %d, want 400", w.Code)
	}
}

// A connection that NTLM has authenticated stays with its upstream, and leaves it only when it has
// no connection there.
func TestPinnedConnectionsStayWithTheirUpstream(t *testing.T) {
	c := newCluster(t, 3, proxy.Options{})
	var browsers []*setup
	for range 3 {
		browsers = append(browsers, c.browser())
	}
	seen := map[string]bool{}
	for _, b := range browsers {
		first := b.get("/", "Authorization", "NTLM 1:").body
		seen[first] = true
		for i := range 4 {
			c.get(fmt.Sprintf("/other/%d", i)) // which turn the others
			if got := b.get("/").body; got != first {
				t.Errorf("a pinned connection went from %s to %s", first, got)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("three connections are with %v, want to be spread", seen)
	}
	b := browsers[0]
	before := b.get("/").body
	c.origins[before[0]-'a'].Close()
	b.get("/") // on the connection that is gone
	if got := b.get("/", "Authorization", "NTLM 1:"); got.status != 200 || got.body == before {
		t.Errorf("%d %q, want another upstream: there is no connection to stay with", got.status,
			got.body)
	}
}

func TestWrongUpstreamsAndChecks(t *testing.T) {
	good, _ := url.Parse("http://127.0.0.1:9")
	bad, _ := url.Parse("ftp://127.0.0.1")
	if _, err := proxy.New(good, proxy.Options{Others: []*url.URL{bad}}); err == nil {
		t.Error("New takes an upstream by FTP")
	}
	for _, path := range []string{"healthz", "/a b\n", "/x#y"} {
		if _, err := proxy.New(good, proxy.Options{Health: proxy.Health{Path: path}}); err == nil ||
			!strings.Contains(err.Error(), "allowed is a path") {
			t.Errorf("New checks %q: %v", path, err)
		}
	}
}

// A check has the path, behind the upstream's, and the host that it should have, and takes a
// redirect for well.
func TestWhatACheckAsks(t *testing.T) {
	asked := make(chan string, 100)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Method + " " + r.Host + " " + r.RequestURI:
		default:
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer origin.Close()
	for host, want := range map[string]string{"": strings.TrimPrefix(origin.URL, "http://"),
		"site.example": "site.example"} {
		u, _ := url.Parse(origin.URL + "/app/")
		p, err := proxy.New(u, proxy.Options{Health: proxy.Health{Path: "/healthz?deep=1",
			Host: host, Interval: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		if got := <-asked; got != "GET "+want+" /app/healthz?deep=1" {
			t.Errorf("a check asked %q", got)
		}
		p.Shutdown(context.Background())
	}
}

// No request makes the proxy ask another server than its upstreams, also where the first of them is
// gone.
func TestNoOtherServerIsAsked(t *testing.T) {
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a server that is no upstream got %s %s", r.Method, r.RequestURI)
	}))
	defer evil.Close()
	for _, o := range []proxy.Options{{}, {ReplaceHost: true}, {TrustForwarded: true}} {
		c := newCluster(t, 3, o)
		c.origins[0].Close()
		other := strings.TrimPrefix(evil.URL, "http://")
		for _, lines := range [][]string{
			{"GET http://" + other + "/ HTTP/1.1", "Host: a"},
			{"GET / HTTP/1.1", "Host: " + other},
			{"GET //" + other + "/ HTTP/1.1", "Host: a"},
			{"GET /@" + other + "/ HTTP/1.1", "Host: a"},
			{"GET http://a@" + other + "/ HTTP/1.1", "Host: a"},
			{"GET / HTTP/1.1", "Host: a", "X-Forwarded-Host: " + other, "Forwarded: host=" + other},
			{"OPTIONS http://" + other + " HTTP/1.1", "Host: a"},
		} {
			if res, body := c.wire(lines...); res.StatusCode != 200 || body != "b" && body != "c" {
				t.Errorf("%q: %d %q", lines, res.StatusCode, body)
			}
		}
	}
}

// An upstream whose certificate is not to be trusted is none: nothing is sent to it, and it is left
// out.
func TestAnUpstreamThatIsSomebodyElse(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "good")
	}))
	defer good.Close()
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		t.Errorf("it got %s %s", r.Method, r.RequestURI)
	}))
	other.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	other.StartTLS()
	defer other.Close()
	first, _ := url.Parse(other.URL)
	second, _ := url.Parse(good.URL)
	log := &shared{}
	p, err := proxy.New(first, proxy.Options{Others: []*url.URL{second},
		Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	for i := range 4 {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("/%d", i), nil))
		if w.Body.String() != "good" {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	}
	if n := strings.Count(log.String(), "an upstream is down"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log)
	}
}
