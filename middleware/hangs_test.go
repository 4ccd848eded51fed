package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// A request waits once for a store that hangs, also where its fill is not the first, or the page has
// variants.
func TestARequestWaitsOnceForAStoreThatHangs(t *testing.T) {
	for story, vary := range map[string]string{"a page": "", "a page with variants": "Accept"} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := memstore.New(64 << 20)
				defer inner.Close()
				var hangs atomic.Bool
				s := faulty.Store(inner, func(ctx context.Context, call, key string) error {
					if !hangs.Load() {
						return nil
					}
					return faulty.Hang(ctx, call, key)
				})
				const takes = 20 * time.Millisecond
				c := newCacheOn(t, s, middleware.Options{})
				h := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(takes)
					if vary != "" {
						w.Header().Set("Vary", vary)
					}
					w.Write([]byte("page"))
				}))
				get(h, "/page", "Accept", "text/html")
				get(h, "/page", "Accept", "text/plain")
				hangs.Store(true)
				var longest atomic.Int64
				var all sync.WaitGroup
				for i := range 200 {
					all.Go(func() {
						r := httptest.NewRequest("GET", []string{"/page", "/other"}[i%2], nil)
						r.Header.Set("Accept", []string{"text/html", "text/plain", "text/css"}[i%3])
						w := &lastWrite{ResponseRecorder: httptest.NewRecorder()}
						began := time.Now()
						h.ServeHTTP(w, r)
						took := int64(w.last.Sub(began))
						for old := longest.Load(); took > old && !longest.CompareAndSwap(old, took); {
							old = longest.Load()
						}
					})
					time.Sleep(7 * time.Millisecond)
				}
				all.Wait()
				if took := time.Duration(longest.Load()); took > longestCall+2*takes {
					t.Errorf("a request took %v: the store's time is %v, and the handler's %v", took,
						longestCall, takes)
				}
			})
		})
	}
}

// lastWrite notes when the last of a body was written: the store may get it after that.
type lastWrite struct {
	*httptest.ResponseRecorder
	last time.Time
}

func (w *lastWrite) Write(p []byte) (int, error) {
	w.last = time.Now()
	return w.ResponseRecorder.Write(p)
}
