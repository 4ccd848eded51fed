package filestore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Watch implements [store.Journal]. It looks at the file four times a second; what this process appends it sees at once.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			marks, head, changed, err := j.since(ctx, "watch", from)
			if err == nil && head < from {
				err = fail("watch", j.prefix, fmt.Errorf("the newest number is %d, less than %d: the journal was lost", head, from))
			}
			if err != nil {
				if ctx.Err() == nil {
					yield(store.Numbered{}, err)
				}
				return
			}
			for _, m := range marks {
				if ctx.Err() != nil || !yield(m, nil) {
					return
				}
				from = m.Number
			}
			select {
			case <-changed:
			case <-tick.C:
			case <-ctx.Done():
			case <-j.b.done:
			}
		}
	}
}
