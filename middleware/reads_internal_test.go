package middleware

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// What this process has written or removed, its next read finds so, although an earlier read of the
// key still waits for its answer.
func TestAReadAfterAWriteIsNotAnEarlierOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memstore.New(1 << 20)
		t.Cleanup(inner.Close)
		free := make(chan bool)
		var gets atomic.Int64
		slow := faulty.Store(inner, func(_ context.Context, call, _ string) error {
			if call == "Get" && gets.Add(1)%2 == 1 {
				<-free
			}
			return nil
		})
		c := New(slow, Options{StoreTimeout: time.Minute})
		defer c.Shutdown(t.Context())
		e := &store.Entry{Key: "k", Status: 200, Received: time.Now(), Fresh: time.Hour}
		for _, step := range []struct {
			what  string
			write func()
			found bool
		}{
			{"a Set", func() { c.set(t.Context(), e) }, true},
			{"a Delete", func() { c.remove(t.Context(), e) }, false},
		} {
			ended := make(chan bool)
			go func() {
				c.read(t.Context(), "k")
				close(ended)
			}()
			synctest.Wait()
			step.write()
			found, err := c.read(t.Context(), "k")
			if (found != nil) != step.found || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %s: found %v, %v", step.what, found, err)
			}
			free <- true
			<-ended
		}
		if gets.Load() != 4 {
			t.Errorf("%d reads; want 4", gets.Load())
		}
	})
}
