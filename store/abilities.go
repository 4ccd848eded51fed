package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// What a Backend may be able to do besides. Each ability is an interface of one method; As finds
// it, behind wrappers too. Keys are the backend's own, as Options.BackendKey returns them.

// TTLer is the ability to report remaining lifetimes.
type TTLer interface {
	// TTL returns what is left of the lifetime of the value under key: more than 0, and never more
	// than the ttl of its Set (rounded up to the backend's unit). ErrNotFound when there is no
	// value.
	TTL(ctx context.Context, key string) (time.Duration, error)
}

// Expirer is the ability to change remaining lifetimes.
type Expirer interface {
	// Expire gives the value under key ttl to live from now on, and reports whether there was a
	// value. A ttl of 0 or less removes it. It makes no value where there is none.
	Expire(ctx context.Context, key string, ttl time.Duration) (existed bool, err error)
}

// Flusher is the ability to remove all values whose key begins with a prefix.
type Flusher interface {
	// Flush removes every value that was set before it was called and whose key begins with prefix,
	// and no other. It returns how many it removed. Values set meanwhile may stay or go. An empty
	// prefix is an error: a server may hold what is none of ours.
	Flush(ctx context.Context, prefix string) (removed int64, err error)
}

// Lister is the ability to list keys.
type Lister interface {
	// List yields the keys that begin with prefix, in any order, each once. It may or may not yield
	// a key that is set or removed meanwhile. After an error the sequence ends.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// Migrator is the ability to create what the backend needs on its server: tables, indexes.
type Migrator interface {
	// Migrate does what is missing and returns what it did, each as "create the table x"; nothing
	// when nothing was missing. With dryRun it changes nothing and returns what it would do.
	// Several processes may call it at any time, also at once.
	Migrate(ctx context.Context, dryRun bool) (steps []string, err error)
}

// Locker is the ability to give out leases: locks across processes that end by themselves.
type Locker interface {
	// TryLock takes the lease called name for ttl, which must be more than 0, if nobody holds it.
	// It does not wait: ok is false, without an error, when somebody else does. Names are like
	// keys, and apart from the keys of values.
	TryLock(ctx context.Context, name string, ttl time.Duration) (l Lease, ok bool, err error)
}

// Lease is a lock that lasts until Unlock or the end of its ttl, whichever comes first.
type Lease interface {
	// Unlock releases the lease, and reports whether its holder still held it: false when it had
	// ended before. It does not touch another holder's lease of the same name.
	Unlock(ctx context.Context) (held bool, err error)
}

// Journaler is the ability to keep a journal that all who use the server share.
type Journaler interface {
	// Journal returns the journal whose records lie under prefix. Calling it does no I/O; what it
	// returns needs no closing: a Watch ends with its context.
	Journal(prefix string) Journal
}

// Flush removes all values whose key begins with prefix, and marks everything in the prefix's
// journal, so that the processes that share the backend drop their near copies. It returns how many
// values it removed. A backend that can list but not flush is flushed key by key; one that can do
// neither is an error that matches errors.ErrUnsupported.
func Flush(ctx context.Context, b Backend, prefix string) (removed int64, err error) {
	if removed, err = flush(ctx, b, prefix); err != nil {
		return removed, err
	}
	a, ok := As[Journaler](b)
	if !ok {
		return removed, nil
	}
	if j := a.Journal(prefix); j != nil {
		if _, err = j.Append(ctx, Mark{Kind: MarkEverything}); err != nil {
			err = fmt.Errorf("store: flush: removed %d, but could not tell the processes that "+
				"share the store: %w",
				removed, err)
		}
	}
	return removed, err
}

// flush is Flush without the journal.
func flush(ctx context.Context, b Backend, prefix string) (removed int64, err error) {
	if prefix == "" {
		return 0, &Error{Backend: "store", Op: "flush", Kind: KindPermanent,
			Err: errors.New("a prefix is needed: the server may hold what is not ours")}
	}
	if a, ok := As[Flusher](b); ok {
		return a.Flush(ctx, prefix)
	}
	lister, ok := As[Lister](b)
	if !ok { // permanent: it says nothing against the server
		return 0, &Error{Backend: "store", Op: "flush", Kind: KindPermanent,
			Err: fmt.Errorf("the store has no list of its keys, and so cannot remove those of the "+
				"prefix %q: have its own server do so, or let them expire: %w", prefix,
				errors.ErrUnsupported)}
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

// Migrate creates what the backend needs; see Migrator. A backend that is none needs nothing: then
// Migrate does nothing.
func Migrate(ctx context.Context, b Backend, dryRun bool) (steps []string, err error) {
	if a, ok := As[Migrator](b); ok {
		return a.Migrate(ctx, dryRun)
	}
	return nil, nil
}
