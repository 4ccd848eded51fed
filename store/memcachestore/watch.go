package memcachestore

import (
	"context"
	"iter"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Watch implements [store.Journal]. It asks four times a second.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		ticker := time.NewTicker(pollEvery)
		defer ticker.Stop()
		for ctx.Err() == nil {
			marks, newest, err := j.Since(ctx, from)
			if err == nil && newest < from {
				err = driver.Refuse("journal watch", j.prefix, "the newest number is %d, and was %d: the journal was lost, and began anew in the past", newest, from)
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
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	}
}
