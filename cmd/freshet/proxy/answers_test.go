package proxy_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// answering returns the URL of an upstream that gives each request the same bytes, and then closes
// the connection.
func answering(t *testing.T, answer string) *url.URL {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, answer)
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return &url.URL{Scheme: "http", Host: ln.Addr().String()}
}

// What no upstream may send costs its client a 502, or is read as the upstream meant it: it is
// never stored for everybody.
func TestAnswersThatNoUpstreamMayGive(t *testing.T) {
	for story, c := range map[string]struct {
		answer string
		status int
		stored bool
	}{
		"a status of 0":  {"HTTP/1.1 000 None\r\nContent-Length: 2\r\n\r\nhi", 502, false},
		"a status of 99": {"HTTP/1.1 099 None\r\nContent-Length: 2\r\n\r\nhi", 502, false},
		"a Cache-Control for the next hop alone": {"HTTP/1.1 200 OK\r\nConnection: Cache-Control, X-Hop\r\n" +
			"Cache-Control: private\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nhi", 200, false},
		"a Set-Cookie for the next hop alone": {"HTTP/1.1 200 OK\r\nConnection: set-cookie\r\n" +
			"Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\nhi", 200, false},
		"a field for the next hop alone": {"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\n" +
			"Content-Length: 2\r\n\r\nhi", 200, true},
	} {
		t.Run(story, func(t *testing.T) {
			minute := &policy.Policy{TTL: time.Minute}
			p, err := proxy.New(answering(t, c.answer), proxy.Options{Log: slog.New(slog.DiscardHandler),
				Cache: middleware.Options{Policy: func(*http.Request) *policy.Policy { return minute }}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Shutdown(t.Context())
			for i := range 2 {
				w := httptest.NewRecorder()
				p.ServeHTTP(w, httptest.NewRequest("GET", "http://a.example/x", nil))
				if w.Code != c.status || w.Header()["X-Hop"] != nil {
					t.Errorf("%d, %v", w.Code, w.Header())
				}
				hit := strings.HasPrefix(strings.Join(w.Header()["Cache-Status"], ""), "Freshet; hit")
				if hit != (c.stored && i == 1) {
					t.Errorf("request %d: %v", i, w.Header()["Cache-Status"])
				}
			}
		})
	}
}
