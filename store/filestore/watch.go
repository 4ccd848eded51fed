package filestore

import (
	"context"
	"iter"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/watch"
)

// Watch implements [store.Journal]. It looks at the file four times a second, and at once when this
// process appends.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return watch.Seq(func(yield watch.Yield) error {
		return fail("watch", j.prefix, watch.Poll(ctx, j.backend.done, from, yield,
			func(from uint64) ([]store.Numbered, uint64, <-chan struct{}, error) {
				return j.since(ctx, "watch", from)
			}))
	})
}
