package memcachestore

import (
	"context"
	"iter"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/watch"
)

// Watch implements [store.Journal]. It asks four times a second, and up to 40
// times while marks come.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return watch.Seq(func(yield watch.Yield) error {
		err := watch.Poll(ctx, j.backend.pool.done.Done(), from, yield,
			func(from uint64) ([]store.Numbered, uint64, <-chan struct{}, error) {
				marks, head, err := j.Since(ctx, from)
				return marks, head, nil, err
			})
		// of Poll's own: the journal was lost
		return driver.Fail("watch", j.prefix, store.KindPermanent, err)
	})
}
