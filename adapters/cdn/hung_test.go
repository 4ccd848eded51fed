package cdn_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/store/memstore"
)

// stuck is a backend whose writes hang while it is.
type stuck struct {
	*memstore.Backend
	is atomic.Bool
}

func (s *stuck) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if s.is.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Backend.Set(ctx, key, value, ttl)
}

// While the store hangs, one purge waits for it, once for all targets, and all others are sent
// without; the log has one line when it goes, and one when it is back, and then it has what is owed.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		backend := &stuck{Backend: memstore.NewBackend(64 << 20)}
		defer backend.Close()
		well, ill := &fakeTarget{name: "well"}, &fakeTarget{name: "ill", fails: down}
		b := open(t, cdn.Options{Targets: []cdn.Target{well, ill}, Store: backend, Delay: -1,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		backend.is.Store(true)
		start, waits := time.Now(), 0
		for range 300 {
			began := time.Now()
			_, err := b.Purge(t.Context(), tags("a", time.Now().String()))
			if !errors.Is(err, cdn.ErrUnkept) {
				t.Fatalf("the store hangs, and the error is %v", err)
			}
			if time.Since(began) > 0 {
				waits++
			}
			b.OnInvalidate(t.Context(), posted("x"))
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(start); waits > 1 || took > 4100*time.Millisecond {
			t.Errorf("%d of 300 purges waited, and all took %v; want one, and 4 s", waits, took)
		}
		synctest.Wait()
		if n := strings.Count(well.has(), "a "); n != 300 {
			t.Errorf("%d purges were sent", n)
		}
		backend.is.Store(false)
		time.Sleep(2100 * time.Millisecond)
		if len(records(t, backend.Backend)) == 0 {
			t.Error("the store is back, and has nothing of what is owed")
		}
		if _, err := b.Purge(t.Context(), tags("b")); err != nil {
			t.Errorf("the store is back: %v", err)
		}
		synctest.Wait()
		for text, want := range map[string]int{"the store of what is owed to caches in front fails": 1,
			"is well again": 1, "a purge is lost if this process ends": 1} {
			if n := strings.Count(log.String(), text); n != want {
				t.Errorf("the log has %q %d times, want %d:\n%s", text, n, want, &log)
			}
		}
	})
}
