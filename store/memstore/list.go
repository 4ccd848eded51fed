package memstore

import (
	"context"
	"iter"
	"strings"

	"github.com/freshet-go/freshet/store/internal/fault"
)

// Flush implements [store.Flusher].
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if err := driver.CheckFlush(prefix); err != nil {
		return 0, err
	}
	for key, err := range b.List(ctx, prefix) {
		if err != nil {
			return removed, err
		}
		if b.engine.delete(key) {
			removed++
		}
	}
	return removed, nil
}

// List implements [store.Lister].
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if ctx.Err() != nil { // though there be nothing
			yield("", fail("list", prefix, fault.Ended(ctx, nil)))
			return
		}
		for key, it := range b.engine.cache.All() {
			if !strings.HasPrefix(key, prefix) || b.engine.clock.passed(it.deadline) {
				continue
			}
			if ctx.Err() != nil {
				yield("", fail("list", prefix, fault.Ended(ctx, nil)))
				return
			}
			if !yield(key, nil) {
				return
			}
		}
	}
}
