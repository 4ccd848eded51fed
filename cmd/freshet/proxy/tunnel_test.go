package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
)

// send sends one request as it is written, and returns the status and the body of its answer.
func (s *setup) send(target, fields string) (int, string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, fields)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// HTTP within HTTP would reach the upstream with any X-Forwarded-For, past the cache.
func TestNoOtherHTTPOnAConnection(t *testing.T) {
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%q %q", r.Header["Upgrade"], r.Header["Http2-Settings"])
	})
	for _, fields := range []string{
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: " +
			"AAMAAABkAARAAAAAAAIAAAAA\r\n",
		"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n",
		"Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n",
		"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
	} {
		if status, body := s.send("/", fields); status != 200 || body != "[] []" {
			t.Errorf("%q: %d %s", fields, status, body)
		}
	}
	s.ran(1)
}

// A target without a slash would reach the upstream as it is: past the path of its URL, or as a
// host's. Many upstreams take it.
func TestTargetsThatAreNoPathEndHere(t *testing.T) {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := upstream.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(conn).ReadString('\r')
			got <- line
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			conn.Close()
		}
	})
	app := &url.URL{Scheme: "http", Host: upstream.Addr().String(), Path: "/app"}
	p, err := proxy.New(app, proxy.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{t: t, proxy: p, server: httptest.NewServer(p)}
	defer served.Wait()
	defer upstream.Close()
	defer p.Shutdown(context.Background())
	defer s.server.Close()
	for _, target := range append([]string{"http:admin", "http:%2fadmin", "x:@evil.example/"},
		climbing...) {
		if status, _ := s.send(target, ""); status != http.StatusBadRequest {
			t.Errorf("%s: %d, the upstream got %s", target, status, <-got)
		}
	}
	for target, want := range map[string]string{
		"http://a/b": "/app/b", "/a/../b": "/app/a/../b", "/...": "/app/...",
		"/a/b/..": "/app/a/b/..", "/?a=/../b": "/app/?a=/../b",
	} {
		if status, _ := s.send(target, ""); status != 204 {
			t.Errorf("%s: %d", target, status)
		}
		if line := <-got; line != "GET "+want+" HTTP/1.1\r" {
			t.Errorf("%s: the upstream got %q", target, line)
		}
	}
}

// climbing are targets whose dot segments lead above the root.
var climbing = []string{
	"/..", "/../admin", "/a/../../admin", "/%2e%2e/admin", "/..%2fadmin", "/.%2E/admin",
	"/a/..//../admin", "/..%5cadmin", "/..;a/admin", "http://a/../admin",
}

// A path that leads above the root is none, wherever the upstream's URL begins; nginx answers 400
// as well. Dot segments that stay below it are the upstream's to resolve.
func TestPathsThatLeaveTheRootEndHere(t *testing.T) {
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.RequestURI)
	})
	for _, target := range climbing {
		if status, body := s.send(target, ""); status != http.StatusBadRequest {
			t.Errorf("%s: %d, the upstream got %s", target, status, body)
		}
	}
	s.ran(0)
	for _, target := range []string{"/a/../b", "/a/b/..", "/...", "/%2e/a", "/?a=/../b"} {
		if status, body := s.send(target, ""); status != 200 || body != target {
			t.Errorf("%s: %d, the upstream got %s", target, status, body)
		}
	}
}
