package middleware_test

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A response whose age equals its lifetime is stale (RFC 9111 section 4.2) for who has waited for
// it, as it is for who finds it in the store.
func TestAnAgeThatEqualsTheLifetimeIsStale(t *testing.T) {
	for _, s := range []struct {
		lifetime string
		stale    bool
	}{{"max-age=2", false}, {"max-age=1", true}} {
		t.Run(s.lifetime, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var waited []policy.Outcome
				c := newCache(t, middleware.Options{
					Observe: func(_ *http.Request, out middleware.Event) {
						mu.Lock()
						defer mu.Unlock()
						if out.Collapsed {
							waited = append(waited, out.Outcome)
						}
					},
				})
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", s.lifetime+", stale-while-revalidate=60")
					w.WriteHeader(http.StatusOK) // from when on its age counts
					time.Sleep(time.Second)
					io.WriteString(w, "page")
				}))
				var all sync.WaitGroup
				for range 2 {
					all.Go(func() { want(t, "page", body(get(h, "/")), "page") })
				}
				all.Wait()
				if len(waited) != 1 || waited[0].Stale != s.stale {
					t.Errorf("who waited is observed as %+v, want stale=%v", waited, s.stale)
				}
			})
		})
	}
}
