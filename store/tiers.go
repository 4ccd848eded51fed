package store

import (
	"context"
)

// Clearer is the ability of a store to remove everything that it holds, and nothing that others
// keep on the same server. The stores of New have it when their Options have a Prefix and their
// Backend is a Flusher or a Lister.
type Clearer interface {
	Clear(ctx context.Context) (removed int64, err error)
}

// Journaled is the ability of a store to return the journal that its server keeps; nil when it
// keeps none.
type Journaled interface {
	Journal() Journal
}
