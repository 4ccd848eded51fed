package proxy_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is an upstream with the proxy before it, both on loopback.
type setup struct {
	t      *testing.T
	proxy  *proxy.Proxy
	server *httptest.Server
	origin *httptest.Server
	runs   atomic.Int64 // of the upstream
	client *http.Client
}

func serve(t *testing.T, o proxy.Options, upstream http.HandlerFunc) *setup {
	t.Helper()
	s := &setup{t: t, client: &http.Client{
		Transport: &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
	s.origin = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.runs.Add(1)
		upstream(w, r)
	}))
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	target, err := url.Parse(s.origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	if s.proxy, err = proxy.New(target, o); err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewUnstartedServer(s.proxy)
	s.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.server.Start()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.proxy.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		s.origin.Close()
	})
	return s
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of the request, or of reading the body
}

func (a answer) cache() string {
	return strings.TrimPrefix(a.header.Get("Cache-Status"), "Freshet; ")
}

func (s *setup) do(method, path string, header ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, s.server.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Add(header[i], header[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		return answer{err: err, header: http.Header{}}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body), err}
}

func (s *setup) get(path string, header ...string) answer {
	s.t.Helper()
	return s.do("GET", path, header...)
}

// ran checks how often the upstream was asked.
func (s *setup) ran(want int64) {
	s.t.Helper()
	if got := s.runs.Load(); got != want {
		s.t.Errorf("the upstream was asked %d times, want %d", got, want)
	}
}

func TestFolderOfFiles(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"page.html": "<p>hello</p>",
		"digits.txt": "0123456789",
		"part.txt":   "abcdefghij"} {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-10 * 24 * time.Hour)
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	files := http.FileServer(http.Dir(folder))
	s := serve(t, proxy.Options{}, files.ServeHTTP)
	modified := s.get("/page.html").header.Get("Last-Modified") // a miss
	s.ran(1)

	for _, c := range []struct {
		story        string
		method, path string
		header       []string
		status       int
		body, cache  string
		runs         int64
	}{
		{"a tenth of ten days is a day", "GET", "/page.html", nil, 200, "<p>hello</p>", "hit", 1},
		{"HEAD from the same stored answer", "HEAD", "/page.html", nil, 200, "", "hit", 1},
		{"a client that has it", "GET", "/page.html", []string{"If-Modified-Since", modified}, 304,
			"", "hit", 1},
		{"another query", "GET", "/page.html?x", nil, 200, "<p>hello</p>", "fwd=uri-miss", 2},
		{"another host", "GET", "/page.html", []string{"Host", "other.example"}, 200,
			"<p>hello</p>",
			"fwd=uri-miss", 3},
		{"HEAD of what is not stored", "HEAD", "/digits.txt", nil, 200, "", "fwd=uri-miss", 4},
		{"a miss", "GET", "/digits.txt", nil, 200, "0123456789", "fwd=uri-miss", 5},
		{"a range from the whole", "GET", "/digits.txt", []string{"Range", "bytes=2-4"}, 206, "234",
			"hit", 5},
		{"a range that is not there", "GET", "/digits.txt", []string{"Range", "bytes=20-"}, 416, "",
			"hit", 5},
		{"a range of what is not stored", "GET", "/part.txt", []string{"Range", "bytes=0-3"}, 206,
			"abcd",
			"fwd=uri-miss", 6},
		{"the same again", "GET", "/part.txt", []string{"Range", "bytes=1-2"}, 206, "bc", "hit", 6},
		{"the whole, of which a part is stored", "GET", "/part.txt", nil, 200, "abcdefghij",
			"fwd=partial", 7},
		{"the whole again", "GET", "/part.txt", nil, 200, "abcdefghij", "hit", 7},
		{"an error is not kept", "GET", "/none", nil, 404, "404 page not found\n",
			"fwd=uri-miss", 8},
		{"nor the next", "GET", "/none", nil, 404, "404 page not found\n", "fwd=uri-miss", 9},
	} {
		got := s.do(c.method, c.path, c.header...)
		if got.status != c.status || got.body != c.body || !strings.HasPrefix(got.cache(),
			c.cache) || got.err != nil {
			t.Errorf("%s: %d %q [%s] %v, want %d %q [%s…]", c.story, got.status, got.body,
				got.cache(), got.err,
				c.status, c.body, c.cache)
		}
		if s.runs.Load() != c.runs {
			t.Fatalf("%s: the upstream was asked %d times, want %d", c.story, s.runs.Load(), c.runs)
		}
	}
}

func TestUpstreamMustBeAURL(t *testing.T) {
	for _, text := range []string{"", "127.0.0.1:9000", "ftp://host", "http://", "http:///path",
		"http://:80",
		"http://u:p@host", "http://host/?q", "http://host/#f"} {
		u, err := url.Parse(text)
		if err != nil {
			u = nil
		}
		if _, err := proxy.New(u, proxy.Options{}); err == nil || !strings.Contains(err.Error(), "allowed is") {
			t.Errorf("New(%q): %v, want an error that says what is allowed", text, err)
		}
	}
}

func TestRefreshBehindAStaleResponse(t *testing.T) {
	refreshed := make(chan string, 1)
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Etag", `"a"`)
		if r.Header.Get("If-None-Match") != "" {
			h.Set("Cache-Control", "max-age=1000")
			w.WriteHeader(http.StatusNotModified)
			refreshed <- r.Header.Get("X-Forwarded-Host")
			return
		}
		h.Set("Cache-Control", "max-age=60, stale-while-revalidate=1000")
		h.Set("Age", "100")
		io.WriteString(w, "text")
	})
	s.get("/")
	if got := s.get("/"); got.body != "text" || !strings.HasPrefix(got.cache(), "hit; ttl=-4") {
		t.Errorf("%q [%s], want the stale response at once", got.body, got.cache())
	}
	if host := <-refreshed; host != strings.TrimPrefix(s.server.URL, "http://") {
		t.Errorf("the refresh asked for host %q, want the client's", host)
	}
	s.ran(2)
}
