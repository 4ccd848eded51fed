package servertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// Five processes share a server. When a receipt's wait has ended, none of them uses what it covers.
func TestReceiptsOfFiveProcesses(t *testing.T) {
	for _, k := range serverKinds {
		t.Run(k.name, func(t *testing.T) {
			server := k.start(t)
			migrated(t, server.URL)
			join := "?"
			if strings.Contains(server.URL, "?") {
				join = "&"
			}
			prefix := fmt.Sprintf("receipts-%d:", prefixes.Add(1))
			var journal store.Journal
			var caches []*middleware.Cache
			var handlers []http.Handler
			for range 5 {
				s, err := open.URL(t.Context(), server.URL+join+"near=1MiB&prefix="+prefix, open.Options{})
				if err != nil {
					t.Fatal(err)
				}
				journal = s.Journal()
				c := middleware.New(s, middleware.Options{StoreTimeout: 5 * time.Second})
				t.Cleanup(func() {
					if err := c.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
					s.Close()
				})
				caches = append(caches, c)
				handlers = append(handlers, c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Cache-Control", "max-age=3600")
				})))
			}
			ask := func(h http.Handler) string {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", pageURL, nil))
				return w.Header().Get("Cache-Status")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			list, ok := store.As[store.Membership](journal)
			if !ok {
				t.Fatal("the journal keeps no list")
			}
			if all, err := list.Members(ctx); err != nil || len(all) != len(caches) {
				t.Errorf("on the list are %v, %v", all, err)
			}
			rounds := 3
			if os.Getenv("FRESHET_TEST_SOAK") != "" {
				rounds = 100
			}
			var took []time.Duration
			for i := range rounds {
				ask(handlers[0])
				began := time.Now()
				receipt, err := caches[i%5].InvalidateURL(ctx, pageURL)
				if err != nil && !errors.Is(err, middleware.ErrUnsent) { // a busy machine may be late
					t.Fatal(err)
				}
				if err := receipt.Wait(ctx); err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(began))
				if status := ask(handlers[(i+1)%5]); !strings.Contains(status, "fwd=") {
					t.Fatalf("after the wait: %s", status)
				}
			}
			slices.Sort(took)
			t.Logf("until all have it: median %v, p99 %v", took[len(took)/2], took[len(took)*99/100])
		})
	}
}
