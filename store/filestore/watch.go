package filestore

import (
	"context"
	"iter"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/watch"
)

// Watch implements [store.Journal]. It looks at the file when the system tells that it has changed, at
// once when this process appends, and besides four times a second, up to 40 times while marks come.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return watch.Seq(func(yield watch.Yield) error {
		if j.begin(ctx, "watch") == nil { // or else Poll says why not
			defer j.listen()()
		}
		return fail("watch", j.prefix, watch.Poll(ctx, j.backend.done, from, yield,
			func(from uint64) ([]store.Numbered, uint64, <-chan struct{}, error) {
				return j.since(ctx, "watch", from)
			}))
	})
}
