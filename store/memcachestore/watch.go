package memcachestore

import (
	"context"
	"iter"

	"github.com/freshet-go/freshet/store"
)

// Watch implements [store.Journal]. It asks four times a second, and up to 40
// times while marks come.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return poll(ctx, j.backend, j.prefix, from, j.Since)
}
