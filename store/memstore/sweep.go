package memstore

import (
	"context"

	"github.com/maypok86/otter/v2"

	"github.com/freshet-go/freshet/store"
)

var (
	_ store.Sweeper = (*Store)(nil)
	_ store.Sampler = (*Store)(nil)
)

// batch is how many entries Sweep looks at between rests.
const batch = 1000

// Sweep implements [store.Sweeper].
func (s *Store) Sweep(ctx context.Context, w store.Sweep) (swept store.Swept, err error) {
	for key, it := range s.engine.cache.All() {
		if swept.Seen%batch == 0 {
			if err := rest(ctx, w); err != nil {
				return swept, err
			}
		}
		swept.Seen++
		if e := it.value.entry(key); e != nil && w.Dead(e) && s.engine.drop(key, it.id) {
			swept.Removed++
			swept.RemovedBytes += int64(it.weight)
			s.engine.reclaimed.Add(1)
			s.engine.reclaimedBytes.Add(int64(it.weight))
		}
	}
	return swept, nil
}

func rest(ctx context.Context, w store.Sweep) error {
	if w.Rest != nil {
		if err := w.Rest(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Sample implements [store.Sampler].
func (s *Store) Sample(n int, use func(*store.Entry)) {
	if n <= 0 {
		return
	}
	for key, it := range s.engine.cache.All() {
		e := it.value.entry(key)
		if e == nil {
			continue
		}
		if use(e); n == 1 {
			return
		}
		n--
	}
}

// drop removes the value under the key, unless it is another than the one of that id.
func (e *engine[V]) drop(key string, id uint32) (dropped bool) {
	e.cache.ComputeIfPresent(key, func(old item[V]) (item[V], otter.ComputeOp) {
		if dropped = old.id == id; dropped {
			return old, otter.InvalidateOp
		}
		return old, otter.CancelOp
	})
	return dropped
}
