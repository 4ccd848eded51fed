package servertest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// Of the clients of several processes that share a server, one has the handler of a cold page run,
// and all others get what it made. The soak is of 20 processes with 1,000 clients each, and prints by
// how much longer than the handler the last client waited.
func TestOneRunOfSeveralProcesses(t *testing.T) {
	processes, clients, rounds := 5, 20, 2
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		processes, clients, rounds = 20, 1000, 5
	}
	urls := map[string]func(*testing.T) string{
		"files": func(t *testing.T) string { return "file://" + t.TempDir() },
	}
	for _, k := range append(slices.Clone(serverKinds), cachekit) {
		urls[k.name] = func(t *testing.T) string {
			url := k.start(t).URL
			migrated(t, url)
			return url
		}
	}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			url := url(t)
			join := "?"
			if strings.Contains(url, "?") {
				join = "&"
			}
			url += join + fmt.Sprintf("near=1MiB&prefix=leases-%d:", prefixes.Add(1))
			if name != "files" {
				url += "&timeout=1m&dial_timeout=1m"
			}
			var runs atomic.Int64
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				runs.Add(1)
				time.Sleep(runTakes)
				fmt.Fprint(w, "page of ", r.URL.Path)
			})
			var journal store.Journal // of the store's server, but for one that has none
			if name == cachekit.name {
				journal = memjournal.New()
			}
			var handlers []http.Handler
			for range processes {
				s, err := open.URL(t.Context(), url, open.Options{Guard: patient, Log: quiet})
				if err != nil {
					t.Fatal(err)
				}
				c := middleware.New(s, middleware.Options{StoreTimeout: time.Minute, Log: quiet,
					Journal: journal})
				t.Cleanup(func() {
					if err := c.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
					s.Close()
				})
				handlers = append(handlers, c.With(policy.Policy{TTL: time.Hour, MaxWait: time.Minute})(handler))
			}
			for round := range rounds {
				page := fmt.Sprint("/", round)
				runs.Store(0)
				began := time.Now()
				var all sync.WaitGroup
				for _, h := range handlers {
					for range clients {
						all.Go(func() {
							w := httptest.NewRecorder()
							h.ServeHTTP(w, httptest.NewRequest("GET", "http://a.example"+page, nil))
							if got := w.Body.String(); got != "page of "+page {
								t.Errorf("a client got %q, and the cache says %q", got, w.Header()["Cache-Status"])
							}
						})
					}
				}
				all.Wait()
				last := time.Since(began)
				if n := runs.Load(); n != 1 {
					t.Errorf("round %d: the handler ran %d times for %d processes", round, n, processes)
				}
				t.Logf("round %d: the last of %d clients had the page %v after the handler's %v", round,
					processes*clients, last-runTakes, runTakes)
			}
		})
	}
}

var quiet = slog.New(slog.DiscardHandler)

// runTakes is how long the handler takes.
const runTakes = 300 * time.Millisecond
