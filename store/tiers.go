package store

import "context"

// NearStore is the ability of a store that keeps a part of its entries in this process's memory.
type NearStore interface {
	// GetNear returns the entry under key if it is near, or nil. It waits for nothing.
	GetNear(key string) *Entry
}

// Follower is the ability of a store that keeps copies of what others may invalidate.
type Follower interface {
	// Follow tells the store what it needs to ask before it uses a copy. It is called once, before
	// the store is used.
	Follow(r *Replica)
}

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

type skipNear struct{}

// SkipNear returns a context with which a Get passes by near copies and asks where the entries are kept.
func SkipNear(ctx context.Context) context.Context { return context.WithValue(ctx, skipNear{}, true) }

// SkipsNear tells whether ctx is one of SkipNear's.
func SkipsNear(ctx context.Context) bool { return ctx.Value(skipNear{}) != nil }
