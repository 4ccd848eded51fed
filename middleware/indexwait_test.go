package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// readOnly is a store that answers, and hangs when it is written to.
type readOnly struct{ store *memstore.Store }

func (s readOnly) Get(ctx context.Context, key string) (*store.Entry, error) {
	return s.store.Get(ctx, key)
}
func (readOnly) Set(ctx context.Context, _ string, _ *store.Entry, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}
func (readOnly) Delete(context.Context, string) error { return nil }

// A client that asks for one page in many languages at once makes nobody wait for a store that
// hangs when it is written to, longer than for the calls of one request.
func TestManyVariantsAndAStoreThatTakesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstore.New(1 << 20)
		defer memory.Close()
		c := middleware.New(readOnly{memory}, middleware.Options{Log: discard,
			StoreTimeout: 100 * time.Millisecond})
		defer c.Shutdown(context.Background())
		h := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "Accept-Language")
			io.WriteString(w, "page")
		}))
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				began := time.Now()
				want(t, "page", body(get(h, "/", "Accept-Language", fmt.Sprint(i))), "page")
				if took := time.Since(began); took > time.Second {
					t.Errorf("a request took %v, where each call to the store takes 100ms at most",
						took)
				}
			})
		}
		all.Wait()
	})
}
