package tieredstore

import (
	"context"

	"github.com/freshet-go/freshet/store"
)

var (
	_ store.Sweeper = (*Store)(nil)
	_ store.Sampler = (*Store)(nil)
)

// Sweep implements [store.Sweeper]: of the near store, and then of the far one. A store that is no
// Sweeper is left as it is.
func (s *Store) Sweep(ctx context.Context, w store.Sweep) (swept store.Swept, err error) {
	for _, tier := range []store.Store{s.near, s.far} {
		sweeper, ok := store.As[store.Sweeper](tier)
		if !ok {
			continue
		}
		done, err := sweeper.Sweep(ctx, w)
		swept.Add(done)
		if err != nil {
			return swept, err
		}
	}
	return swept, nil
}

// Sample implements [store.Sampler]: it gives entries of the near store, if that is one.
func (s *Store) Sample(n int, use func(*store.Entry)) {
	if sampler, ok := store.As[store.Sampler](s.near); ok {
		sampler.Sample(n, use)
	}
}
