package filestore

import (
	"context"
	"iter"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/watch"
)

// Watch implements [store.Journal]. It looks at the file at once when this process appends, and
// besides four times a second, up to 40 times while marks come. It does not wait for the system to
// tell of changes: a goroutine that waits so lets no time pass in a bubble of testing/synctest, in
// which apps test what they cache.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return watch.Seq(func(yield watch.Yield) error {
		return fail("watch", j.prefix, watch.Poll(ctx, j.backend.done, from, yield,
			func(from uint64) ([]store.Numbered, uint64, <-chan struct{}, error) {
				return j.since(ctx, "watch", from)
			}))
	})
}
