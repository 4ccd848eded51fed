package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// What a Backend may be able to do besides. Each ability is an interface of one method and a function
// that finds it, behind wrappers too, and answers ErrUnsupported when it is not there. Keys are the
// backend's own, as BackendKey gives them.

// TTLer tells how long a value will be kept yet.
type TTLer interface {
	// TTL returns what is left of the lifetime of the value under key: more than 0, and never more than
	// Set was told (rounded up to the backend's unit). ErrNotFound when there is nothing.
	TTL(ctx context.Context, key string) (time.Duration, error)
}

// Expirer changes how long a value will be kept.
type Expirer interface {
	// Expire gives the value under key ttl to live from now on, and tells whether there was a value.
	// A ttl of 0 or less removes it. A key that is not there stays so.
	Expire(ctx context.Context, key string, ttl time.Duration) (existed bool, err error)
}

// Flusher removes all values whose key begins with a prefix.
type Flusher interface {
	// Flush removes every value that was set before it was called and whose key begins with prefix,
	// and no other. It returns how many it removed. What is set meanwhile may stay or go. An empty
	// prefix is an error: a server may hold what is none of ours.
	Flush(ctx context.Context, prefix string) (removed int64, err error)
}

// Lister lists keys.
type Lister interface {
	// List yields the keys that begin with prefix, in any order, each once. A key that is set or
	// removed meanwhile may or may not be among them. After an error the sequence ends.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// Migrator creates what the backend needs on its server: tables, indexes.
type Migrator interface {
	// Migrate does what is missing and returns what it did, each as "create the table x"; nothing when nothing was
	// missing. With dryRun it changes nothing and returns what it would do. It may be called at any
	// time, from several processes at once.
	Migrate(ctx context.Context, dryRun bool) (steps []string, err error)
}

// Locker gives out leases: locks across processes that end by themselves.
type Locker interface {
	// TryLock takes the lease called name for ttl, which must be more than 0, if nobody holds it. It does
	// not wait: ok is false, without an error, when somebody else does. Names are like keys, and apart
	// from the keys of values.
	TryLock(ctx context.Context, name string, ttl time.Duration) (l Lease, ok bool, err error)
}

// Lease is held by whoever got it, until Unlock or the end of its ttl, whichever comes first.
type Lease interface {
	// Unlock releases the lease, and tells whether it was still held: false when it had ended before, in which
	// case another's lease of the same name is not touched.
	Unlock(ctx context.Context) (held bool, err error)
}

// Journaler keeps a journal that all who use the server share.
type Journaler interface {
	// Journal returns the journal whose records lie under prefix. Calling it does no I/O; what it returns
	// needs no closing: a Watch ends with its context.
	Journal(prefix string) Journal
}

// TTL tells how long the value under key will be kept yet; see TTLer.
func TTL(ctx context.Context, b Backend, key string) (time.Duration, error) {
	if a, ok := As[TTLer](b); ok {
		return a.TTL(ctx, key)
	}
	return 0, lacks(b, "ttl", "tell remaining lifetimes")
}

// Expire changes how long the value under key will be kept; see Expirer. A backend that cannot is asked
// for the value, which is set anew: not atomic, so that a value set in between may be overwritten.
func Expire(ctx context.Context, b Backend, key string, ttl time.Duration) (existed bool, err error) {
	if a, ok := As[Expirer](b); ok {
		return a.Expire(ctx, key, ttl)
	}
	if ttl <= 0 {
		return b.Delete(ctx, key)
	}
	value, err := b.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, b.Set(ctx, key, value, ttl)
}

// Flush removes all values whose key begins with prefix; see Flusher. A backend that can list but not
// flush is flushed key by key.
func Flush(ctx context.Context, b Backend, prefix string) (removed int64, err error) {
	if prefix == "" {
		return 0, ErrFlushEverything
	}
	if a, ok := As[Flusher](b); ok {
		return a.Flush(ctx, prefix)
	}
	lister, ok := As[Lister](b)
	if !ok {
		return 0, lacks(b, "flush", "remove all keys of a prefix")
	}
	for key, err := range lister.List(ctx, prefix) {
		if err != nil {
			return removed, err
		}
		existed, err := b.Delete(ctx, key)
		if err != nil {
			return removed, err
		}
		if existed {
			removed++
		}
	}
	return removed, nil
}

// ErrFlushEverything is what Flush answers to an empty prefix.
var ErrFlushEverything error = &Error{
	Backend: "store", Op: "flush", Kind: KindPermanent,
	Err: errors.New("a prefix is needed: the server may hold what is not ours"),
}

// List yields the keys that begin with prefix; see Lister.
func List(ctx context.Context, b Backend, prefix string) iter.Seq2[string, error] {
	if a, ok := As[Lister](b); ok {
		return a.List(ctx, prefix)
	}
	return func(yield func(string, error) bool) { yield("", lacks(b, "list", "list keys")) }
}

// Migrate creates what the backend needs; see Migrator. Most need nothing: then it does nothing.
func Migrate(ctx context.Context, b Backend, dryRun bool) (steps []string, err error) {
	if a, ok := As[Migrator](b); ok {
		return a.Migrate(ctx, dryRun)
	}
	return nil, nil
}

// TryLock takes a lease; see Locker.
func TryLock(ctx context.Context, b Backend, name string, ttl time.Duration) (l Lease, ok bool, err error) {
	if ttl <= 0 {
		return nil, false, &Error{Backend: "store", Op: "lock", Key: name, Kind: KindPermanent,
			Err: fmt.Errorf("a lease for %v; it must be more than 0", ttl)}
	}
	if a, ok := As[Locker](b); ok {
		return a.TryLock(ctx, name, ttl)
	}
	return nil, false, lacks(b, "lock", "give out leases")
}

// lacks is permanent: it says nothing against the server.
func lacks(b Backend, op, what string) error {
	return &Error{Backend: "store", Op: op, Kind: KindPermanent, Err: fmt.Errorf("backend %T cannot %s: %w", b, what, errors.ErrUnsupported)}
}
