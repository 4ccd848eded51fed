package store

import (
	"context"
)

// Clearer is the ability of a store to forget everything that it holds, and nothing that others keep on
// the same server. Store.New's stores have it when their Options have a Prefix and their Backend is a
// Flusher or a Lister.
type Clearer interface {
	Clear(ctx context.Context) (removed int64, err error)
}

// Journaled is the ability of a store whose server keeps a journal; nil when it does not.
type Journaled interface {
	Journal() Journal
}
