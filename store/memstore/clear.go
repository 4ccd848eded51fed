package memstore

import (
	"context"

	"github.com/freshet-go/freshet/store"
)

var _ store.Clearer = (*Store)(nil)

// Clear implements [store.Clearer]: it drops all entries. What is set meanwhile may stay or go. It
// has no error.
func (s *Store) Clear(context.Context) (removed int64, err error) {
	removed = int64(s.Len())
	s.engine.cache.InvalidateAll()
	return removed, nil
}
