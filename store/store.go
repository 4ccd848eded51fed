package store

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound says that nothing (or nothing that is still alive) is stored under a key.
var ErrNotFound = errors.New("store: not found")

// Store keeps entries. It is safe for concurrent use.
//
// An error other than ErrNotFound means that the store is broken, never that the key is not there.
type Store interface {
	// Get returns the entry stored under key, or ErrNotFound. The entry is shared: do not modify
	// it.
	Get(ctx context.Context, key string) (*Entry, error)
	// Set stores e under key, which must be e.Key, for ttl, in place of whatever was there. It may
	// keep e itself, which must not be modified any more. A ttl of 0 or less stores nothing and
	// removes what was there.
	Set(ctx context.Context, key string, e *Entry, ttl time.Duration) error
	// Delete removes what is stored under key; a key that is not there is no error.
	Delete(ctx context.Context, key string) error
}
