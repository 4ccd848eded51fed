package servertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/open"
)

// A server that answers reads and takes no writes: with StrictInvalidation the very first change is
// refused, and its handler does not run. Without it the answer says that others do not know, they
// go on with the old page, and the invalidation is spooled until the server takes it.
func TestAServerThatTakesNoMarks(t *testing.T) {
	for _, k := range serverKinds {
		for _, r := range k.refusals {
			if r.marks {
				continue
			}
			t.Run(k.name+", "+r.story, func(t *testing.T) {
				t.Parallel()
				server := k.start(t)
				migrated(t, server.URL)
				folder := filepath.Join(t.TempDir(), "spool")
				var runs atomic.Int64
				node := func(o middleware.Options) http.Handler {
					join := "?"
					if strings.Contains(server.URL, "?") {
						join = "&"
					}
					s, err := open.URL(t.Context(), server.URL+join+"prefix=unsent:&timeout=1m", open.Options{
						Guard: patient, Log: slog.New(slog.DiscardHandler)})
					if err != nil {
						t.Fatal(err)
					}
					o.Log, o.StoreTimeout, o.MaxLag = slog.New(slog.DiscardHandler), time.Minute, time.Hour
					c := middleware.New(s, o)
					t.Cleanup(func() {
						if err := c.Shutdown(context.Background()); err != nil {
							t.Error(err)
						}
						s.Close()
					})
					return c.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(func(w http.ResponseWriter,
						r *http.Request) {
						if r.Method == "POST" {
							runs.Add(1)
						}
						io.WriteString(w, "page")
					}))
				}
				askFor := func(h http.Handler, method, target string) (answer string) {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
					return fmt.Sprint(w.Code, " ", w.Header().Get("Cache-Status"))
				}
				ask := func(h http.Handler, method string) string { return askFor(h, method, "/page") }
				a, b := node(middleware.Options{SpoolFolder: folder}), node(middleware.Options{})
				strict := node(middleware.Options{StrictInvalidation: true})
				ask(b, "GET")
				mend := r.begin(t, server)
				// the server's processes learn of it one after the other
				for end := time.Now().Add(20 * time.Second); !strings.HasPrefix(askFor(strict, "POST", "/other"), "503 ") ||
					!strings.HasSuffix(askFor(a, "POST", "/other"), "; detail=unsent"); {
					if time.Now().After(end) {
						t.Fatal("the server takes marks, though it was told not to")
					}
				}
				runs.Store(0)
				if got := ask(strict, "POST"); got != "503 Freshet; detail=journal-lost" ||
					runs.Load() != 0 {
					t.Errorf("a change: %s, %d runs; want 503, and no run", got, runs.Load())
				}
				if got := ask(a, "POST"); !strings.HasPrefix(got, "200 ") ||
					!strings.HasSuffix(got, "; detail=unsent") {
					t.Errorf("a change: %s; want 200, and the detail unsent", got)
				}
				if got := ask(b, "GET"); !strings.Contains(got, "hit") {
					t.Errorf("the other node: %s; want a hit, since nobody has told it", got)
				}
				if left, err := os.ReadDir(folder); len(left) != 1 {
					t.Errorf("spooled are %v, %v; want a file", left, err)
				}
				mend()
				for what, is := range map[string]func() bool{
					"the other node has the new page": func() bool {
						return !strings.Contains(ask(b, "GET"), "hit")
					},
					"a change is made": func() bool {
						return strings.HasPrefix(ask(strict, "POST"), "200 ")
					},
				} {
					for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
						if time.Now().After(end) {
							t.Fatalf("not within 20 seconds: %s", what)
						}
					}
				}
			})
		}
	}
}
