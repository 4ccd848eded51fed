package guardstore

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// BenchmarkGet says what the guard adds: subtract "raw".
func BenchmarkGet(b *testing.B) {
	inner := memstore.New(0)
	defer inner.Close()
	if err := inner.Set(b.Context(), "key", &store.Entry{Key: "key"}, time.Hour); err != nil {
		b.Fatal(err)
	}
	open := New(faulty.Store(inner, refuses), Options{Log: slog.New(&diary{}), Retry: time.Hour})
	for range 5 {
		open.Get(b.Context(), "key")
	}
	for _, bm := range []struct {
		name  string
		store store.Store
		ctx   context.Context
	}{
		{"raw", inner, context.Background()},
		{"guarded", New(inner, Options{}), context.Background()},
		{"guarded, the caller has a deadline", New(inner, Options{}), hurried{b.Context()}},
		{"detached", New(inner, Options{Detached: true}), b.Context()},
		{"open", open, b.Context()},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bm.store.Get(bm.ctx, "key")
				}
			})
		})
	}
}

// hurried has a deadline that is always a moment ahead.
type hurried struct{ context.Context }

func (hurried) Deadline() (time.Time, bool) { return time.Now().Add(200 * time.Millisecond), true }
