package servertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/open"
)

// patient waits for a server on a busy machine.
var patient = guardstore.Options{Timeout: time.Minute, SetTimeout: time.Minute}

// Right after a miss, or a POST whose response is stored, the same client's next request is
// answered from that page, whatever it wants of it and wherever the page goes.
func TestTheNextRequestOfTheSameClient(t *testing.T) {
	rounds := 10
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		rounds = 50
	}
	postgres := testserver.SharedPostgres(t).URL
	migrated(t, postgres)
	for name, url := range map[string]string{
		"redis":      testserver.SharedRedis(t).URL,
		"postgresql": postgres,
		"memcached":  testserver.Memcached(t).URL,
		"files":      "file://" + t.TempDir(),
		"memory":     "memory://",
	} {
		t.Run(name, func(t *testing.T) {
			join := "?"
			if strings.Contains(url, "?") {
				join = "&"
			}
			if name != "memory" { // which is near
				url += join + fmt.Sprintf("near=0&prefix=next-%d:", prefixes.Add(1))
			}
			// the drivers have a patience of their own besides the guard's
			if name != "memory" && name != "files" {
				url += "&timeout=1m&dial_timeout=1m"
			}
			s, err := open.URL(t.Context(), url, open.Options{Log: slog.New(slog.DiscardHandler),
				Guard: patient})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c := middleware.New(s, middleware.Options{StoreTimeout: time.Minute})
			defer c.Shutdown(context.Background())
			var runs atomic.Int64
			server := httptest.NewServer(c.Handler(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				runs.Add(1)
				size, _ := strconv.Atoi(r.URL.Query().Get("size"))
				w.Header().Set("Cache-Control", "max-age=3600")
				w.Header().Set("Content-Length", strconv.Itoa(size))
				if r.Method == "POST" {
					w.Header().Set("Content-Location", r.URL.RequestURI())
				} else {
					w.Header().Set("Vary", "Accept-Language")
				}
				io.WriteString(w, strings.Repeat("x", size))
			})))
			defer server.Close()
			one, other := &http.Transport{}, &http.Transport{}
			defer one.CloseIdleConnections()
			defer other.CloseIdleConnections()
			for _, size := range []int{100, 100 << 10} {
				for _, first := range []string{"GET", "POST"} {
					for i, next := range []http.Request{
						{Method: "HEAD"},
						{Method: "GET", Header: http.Header{"Range": {"bytes=0-9"}}},
						{Method: "GET", Header: http.Header{"Accept": {"text/html"}}},
						{Method: "GET"},
					} {
						for n := range rounds {
							url := fmt.Sprintf("%s/%s-%d-%d-%d?size=%d", server.URL, first, i, size,
								n, size)
							before := runs.Load()
							read(t, one, first, url, nil)
							// as over HTTP/2, or a second connection
							read(t, other, next.Method, url, next.Header)
							if got := runs.Load() - before; got != 1 {
								t.Errorf("%s of %d bytes, then %s %v: the handler ran %d times",
									first, size, next.Method, next.Header, got)
							}
						}
					}
				}
			}
		})
	}
}

// read asks once, and returns as soon as the whole body is there.
func read(t *testing.T, client *http.Transport, method, url string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	res, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err != nil || res.StatusCode/100 != 2 {
		t.Fatal(res.StatusCode, err)
	}
}
