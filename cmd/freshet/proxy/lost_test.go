package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
)

// The beginnings of what a broken upstream says before its connection is gone.
const (
	midHeader = "HTTP/1.1 200 OK\r\nCache-Control: max-a"
	noBody    = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n"
	midBody   = noBody + "0123"
	midChunk  = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: " +
		"chunked\r\n\r\na\r\n0123"
	noLastChunk = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n4\r\n0123\r\n"
)

var midLarge = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1000000\r\n\r\n" +
	strings.Repeat("x", 500000)

// say writes raw bytes to the proxy and closes the connection.
func say(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	io.WriteString(conn, text)
	conn.Close()
}

func TestConnectionLostWithNothingStored(t *testing.T) {
	for _, c := range []struct {
		story, said string
		status      int // 0: the connection is aborted
	}{
		{"closed without a word", "", 502},
		{"closed within the header", midHeader, 502},
		{"no HTTP", "Hello!\r\n\r\n", 502},
		{"closed before the body", noBody, 0},
		{"closed within the body", midBody, 0},
		{"closed within a large body", midLarge, 0},
		{"closed within a chunk", midChunk, 0},
		{"closed before the last chunk", noLastChunk, 0},
	} {
		for _, method := range []string{"GET", "PUT"} {
			t.Run(c.story+" "+method, func(t *testing.T) {
				whole := false
				s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
					if whole {
						w.Header().Set("Cache-Control", "max-age=60")
						io.WriteString(w, "whole")
						return
					}
					say(w, c.said)
				})
				got := s.do(method, "/")
				switch {
				case c.status != 0 && (got.status != c.status || got.err != nil):
					t.Errorf("%d %v, want %d", got.status, got.err, c.status)
				case c.status == 0 && got.err == nil:
					t.Errorf("a cut response looks complete: %d, %d bytes", got.status,
						len(got.body))
				}
				before := s.runs.Load()
				whole = true
				if got = s.get("/"); got.body != "whole" || got.err != nil ||
					!strings.HasPrefix(got.cache(), "fwd=uri-miss") {
					t.Errorf("then %d %q [%s] %v, want the whole response of an upstream that is "+
						"back", got.status,
						got.body, got.cache(), got.err)
				}
				s.ran(before + 1)
			})
		}
	}
}

// A response that is stored and stale stands in for a lost upstream, unless it forbids that. For an
// error that the upstream answers itself it does so only if stale-if-error allows it.
func TestConnectionLostWithAStaleResponse(t *testing.T) {
	const own502 = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nown"
	for _, c := range []struct {
		story, control, said string
		stale                bool
		status               int
	}{
		{"closed without a word", "max-age=60", "", true, 200},
		{"closed within the header", "max-age=60", midHeader, true, 200},
		{"closed within a body of which nothing has gone on", "max-age=60", midBody, true, 200},
		{"must-revalidate forbids it", "max-age=60, must-revalidate", midHeader, false, 502},
		{"s-maxage forbids it", "s-maxage=60", "", false, 502},
		{"the upstream's own 502 is a response", "max-age=60", own502, false, 502},
		{"which stale-if-error covers", "max-age=60, stale-if-error=1000", own502, true, 200},
		{"for so long", "max-age=60, stale-if-error=10", own502, false, 502},
	} {
		t.Run(c.story, func(t *testing.T) {
			broken := false
			s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
				if broken {
					say(w, c.said)
					return
				}
				w.Header().Set("Cache-Control", c.control)
				w.Header().Set("Age", "100")
				w.Header().Set("Etag", `"a"`)
				io.WriteString(w, "stored")
			})
			s.get("/")
			broken = true
			got := s.get("/")
			if got.status != c.status || (got.body == "stored") != c.stale || got.err != nil {
				t.Errorf("%d %q [%s] %v, want %d, stale: %t", got.status, got.body, got.cache(),
					got.err,
					c.status, c.stale)
			}
			broken = false
			if got = s.get("/"); got.body != "stored" {
				t.Errorf("then %d %q, want the upstream that is back", got.status, got.body)
			}
		})
	}
}

func TestUpstreamIsKilled(t *testing.T) {
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"a"`)
		if r.URL.Path == "/stale" {
			w.Header().Set("Age", "100")
		}
		io.WriteString(w, r.URL.Path)
	})
	s.get("/fresh")
	s.get("/stale")
	s.origin.Close()
	for path, want := range map[string]int{"/fresh": 200, "/stale": 200, "/unknown": 502} {
		if got := s.get(path); got.status != want || got.err != nil || want == 200 &&
			got.body != path {
			t.Errorf("%s: %d %q %v, want %d", path, got.status, got.body, got.err, want)
		}
	}
	if got := s.do("POST", "/fresh"); got.status != 502 {
		t.Errorf("POST: %d, want 502", got.status)
	}
	if got := s.get("/fresh"); got.cache()[:3] != "hit" {
		t.Errorf("[%s]: a POST that reached nobody invalidated", got.cache())
	}
}

func TestUpstreamIsSilent(t *testing.T) {
	ended := make(chan struct{})
	defer close(ended)
	s := serve(t, proxy.Options{Timeout: 100 * time.Millisecond}, func(w http.ResponseWriter,
		r *http.Request) {
		switch r.URL.Path {
		case "/body":
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "first")
			http.NewResponseController(w).Flush()
		case "/slow":
			for range 4 {
				time.Sleep(40 * time.Millisecond)
				io.WriteString(w, ".")
				http.NewResponseController(w).Flush()
			}
			return
		}
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	})
	if got := s.get("/header"); got.status != http.StatusGatewayTimeout {
		t.Errorf("%d %v, want 504", got.status, got.err)
	}
	if got := s.get("/body"); got.body != "first" || got.err == nil {
		t.Errorf("%q %v, want what there was and an abort", got.body, got.err)
	}
	if got := s.get("/slow"); got.body != "...." || got.err != nil {
		t.Errorf("%q %v, want the whole: it was never silent for long", got.body, got.err)
	}
}

// Outside of net/http's server, httputil lets a cut body look complete.
func TestCutBodyAbortsWithoutAServer(t *testing.T) {
	for _, said := range []string{midBody, midLarge, midChunk} {
		s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
			say(w, said)
		})
		for _, method := range []string{"GET", "DELETE"} {
			func() {
				defer func() {
					if v := recover(); v != http.ErrAbortHandler {
						t.Errorf("%s %.80q: panic %v, want http.ErrAbortHandler", method, said, v)
					}
				}()
				s.proxy.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil))
			}()
		}
	}
}

func TestManyClientsOfACutBody(t *testing.T) {
	const clients = 20
	go2 := make(chan struct{})
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		<-go2
		say(w, midLarge)
	})
	results := make(chan error, clients)
	for range clients {
		go func() {
			got := s.get("/")
			if got.err == nil {
				results <- fmt.Errorf("a cut response looks complete: %d, %d bytes", got.status,
					len(got.body))
				return
			}
			results <- nil
		}()
	}
	close(go2)
	for range clients {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
