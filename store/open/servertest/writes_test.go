package servertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/open"
)

// Who changes a page at one process, and asks another for it at once, gets what the change has made,
// on every server: also where processes ask for news only four times a second.
func TestWritesAreReadAtAnotherProcess(t *testing.T) {
	const rounds = 20
	postgres := testserver.SharedPostgres(t).URL
	migrated(t, postgres)
	for name, url := range map[string]string{
		"redis":      testserver.SharedRedis(t).URL,
		"postgresql": postgres,
		"memcached":  testserver.Memcached(t).URL,
		"files":      "file://" + t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			join := "?"
			if strings.Contains(url, "?") {
				join = "&"
			}
			url += join + fmt.Sprintf("near=1MiB&prefix=writes-%d:", prefixes.Add(1))
			if name != "files" {
				url += "&timeout=1m&dial_timeout=1m" // the drivers' own patience
			}
			var version atomic.Int64
			process := func() func(method, cookie string) *http.Response {
				s, err := open.URL(t.Context(), url, open.Options{
					Log: slog.New(slog.DiscardHandler), Guard: patient})
				if err != nil {
					t.Fatal(err)
				}
				c := middleware.New(s, middleware.Options{
					StoreTimeout: time.Minute, MaxLag: time.Minute,
					ReadYourWrites: middleware.ReadYourWrites{Keys: [][]byte{[]byte("0123456789abcdef")}},
				})
				t.Cleanup(func() {
					c.Shutdown(context.Background())
					s.Close()
				})
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						version.Add(1)
					}
					w.Header().Set("Cache-Control", "max-age=3600")
					fmt.Fprint(w, version.Load())
				}))
				return func(method, cookie string) *http.Response {
					r := httptest.NewRequest(method, pageURL, nil)
					r.Header.Set("Cookie", cookie)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					return w.Result()
				}
			}
			reads, writes := process(), process()
			hits := 0
			for range rounds {
				var cookie string
				for _, c := range writes(http.MethodPost, "").Cookies() {
					cookie += c.Name + "=" + c.Value
				}
				for range 2 {
					r := reads(http.MethodGet, cookie)
					body, _ := io.ReadAll(r.Body)
					if got := string(body); got != fmt.Sprint(version.Load()) {
						t.Fatalf("after change %d, the other process has %s", version.Load(), got)
					}
					if strings.Contains(r.Header.Get("Cache-Status"), "hit") {
						hits++
					}
				}
			}
			// a change invalidates once more at its end, of which the process may hear in between
			if hits == 0 {
				t.Error("nothing that was stored since is used")
			}
		})
	}
}
