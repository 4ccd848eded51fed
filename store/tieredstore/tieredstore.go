// Package tieredstore keeps copies in this process's memory of what a far store holds, so that the
// second request for a page asks no server.
package tieredstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

// Options are the settings of a Store. The zero value is usable.
type Options struct {
	// NearTTL is how long a copy may stay near before a Get asks the far store again: how long this
	// node may miss that another has replaced or deleted an entry without a mark in the journal.
	// Default: as long as the far store keeps the entry. Without a far store it means nothing.
	NearTTL time.Duration
}

// Store answers from a near store where it can, and otherwise from a far one. It is safe for
// concurrent use.
//
// The Store uses a near copy until the far one's end, never past it, and not when the journal's
// Replica (see Follow) covers it: for a hard mark it removes the copy, for a soft one it asks the
// far store, which may have something newer. When the far store fails, near copies serve on.
//
// What this process sets and deletes holds for all its later Gets. What another process does shows
// when the near copy has ended, or when its mark comes by the journal.
type Store struct {
	near, far store.Store // far may be nil
	local     bool        // near waits for nothing
	nearTTL   time.Duration
	replica   atomic.Pointer[invalidation.Replica]
	writes    *writes
	counts    counts
}

var (
	_ store.Store     = (*Store)(nil)
	_ store.Local     = (*Store)(nil)
	_ tier.Near       = (*Store)(nil)
	_ tier.Follower   = (*Store)(nil)
	_ store.Clearer   = (*Store)(nil)
	_ store.Journaled = (*Store)(nil)
	_ store.Limited   = (*Store)(nil)
)

// New puts near, which is memory, before far, which is anything, and best guarded. A far of nil
// makes a store of the near one alone, with all the same methods.
func New(near, far store.Store, o Options) *Store {
	if near == nil {
		panic("tieredstore: New: the near store is nil: give it memstore.New(64 << 20)")
	}
	s := &Store{near: near, far: far, nearTTL: o.NearTTL, writes: newWrites()}
	if l, ok := store.As[store.Local](near); ok {
		s.local = l.Local()
	}
	return s
}

// Get implements [store.Store]. Its errors are the far store's.
func (s *Store) Get(ctx context.Context, key string) (*store.Entry, error) {
	var copied *store.Entry // softly covered, or nil
	if s.far == nil || !tier.SkipsNear(ctx) {
		e, coverage := s.look(ctx, key)
		if e != nil && (coverage == invalidation.CoverageNone || s.far == nil) {
			s.counts.near.add()
			return e, nil
		}
		copied = e
	}
	if s.far == nil {
		s.counts.misses.Add(1)
		return nil, store.ErrNotFound
	}
	lane, seen := s.writes.begin(key)
	e, err := s.far.Get(ctx, key)
	if err == nil && (e == nil || e.Key != key) {
		err = fmt.Errorf("tieredstore: get %.16q: the far store returned another entry", key)
	}
	switch {
	case err == nil && (copied == nil || s.better(e, copied)):
		s.counts.far.Add(1)
		return s.promote(lane, seen, e), nil
	case copied != nil:
		s.counts.near.add()
		return copied, nil
	case errors.Is(err, store.ErrNotFound):
		s.counts.misses.Add(1)
	default:
		s.counts.failed.Add(1)
	}
	return nil, err
}

// GetNear implements [tier.Near].
func (s *Store) GetNear(key string) *store.Entry {
	if !s.local {
		return nil
	}
	e, coverage := s.look(context.Background(), key)
	if e == nil || coverage != invalidation.CoverageNone && s.far != nil {
		return nil
	}
	s.counts.near.add()
	return e
}

// Set implements [store.Store]. It sets the far entry first, so that there is no near copy of what
// may not be kept. When the far store fails, Set returns its error, and keeps the new entry near
// all the same, for this node to serve: whatever the far store still holds is older, and no less
// judged by its age and by the journal.
func (s *Store) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	if e.Key != key {
		return fmt.Errorf("tieredstore: set %.100q: the entry's key is %.100q; they must be equal",
			key, e.Key)
	}
	if s.far == nil {
		return s.setNear(key, e, ttl)
	}
	lane, seen := s.writes.begin(key)
	began := time.Now()
	err := s.far.Set(ctx, key, e, ttl)
	lane.end(seen, func(alone bool) {
		// The far store holds what was set last, and of two Sets at once nobody here knows which
		// that is. Its entry's lifetime may have begun when the call did.
		if !alone || s.near.Set(background, key, e, s.bounded(max(ttl, 0)-time.Since(began))) !=
			nil {
			s.near.Delete(background, key)
		}
	})
	return err
}

func (s *Store) setNear(key string, e *store.Entry, ttl time.Duration) (err error) {
	s.writes.lane(key).locked(func() { err = s.near.Set(background, key, e, ttl) })
	return err
}

// Delete implements [store.Store]. The near copy is gone even if the far store fails; then the far
// entry may come near again.
func (s *Store) Delete(ctx context.Context, key string) error {
	lane, seen := s.writes.begin(key)
	var err error
	if s.far != nil {
		err = s.far.Delete(ctx, key)
	}
	lane.end(seen, func(bool) {
		if failed := s.near.Delete(background, key); err == nil {
			err = failed
		}
	})
	return err
}

// Clear implements [store.Clearer]: it empties the near store, and has the far one forget what is
// its own. It returns how many far entries were removed, or near ones if there is no far store. A
// far store that cannot forget is an error that matches errors.ErrUnsupported; the near one is
// emptied even so.
func (s *Store) Clear(ctx context.Context) (removed int64, err error) {
	if s.far != nil {
		removed, err = forget(ctx, s.far, "far")
	}
	var copies int64
	var failed error
	s.writes.endAll(func() { copies, failed = forget(background, s.near, "near") })
	if s.far == nil {
		removed = copies
	}
	return removed, errors.Join(err, failed)
}

func forget(ctx context.Context, s store.Store, which string) (int64, error) {
	c, ok := store.As[store.Clearer](s)
	if !ok {
		return 0, fmt.Errorf("tieredstore: clear: the %s store, %T, cannot forget everything: %w",
			which, s, errors.ErrUnsupported)
	}
	return c.Clear(ctx)
}

// Follow implements [tier.Follower].
func (s *Store) Follow(r *invalidation.Replica) {
	s.replica.Store(r)
	if f, ok := store.As[tier.Follower](s.far); ok {
		f.Follow(r)
	}
}

// Journal implements [store.Journaled]: the far store's, or nil.
func (s *Store) Journal() store.Journal {
	if j, ok := store.As[store.Journaled](s.Unwrap()); ok {
		return j.Journal()
	}
	return nil
}

// MaxEntry implements [store.Limited]: what either store keeps can be found.
func (s *Store) MaxEntry() int64 { return s.most(store.Limited.MaxEntry) }

// MaxBody implements [store.Limited].
func (s *Store) MaxBody() int64 { return s.most(store.Limited.MaxBody) }

// most is the greater of a limit of both stores.
func (s *Store) most(limit func(store.Limited) int64) (most int64) {
	for _, each := range []store.Store{s.near, s.far} {
		if each == nil {
			continue
		}
		limits, ok := store.As[store.Limited](each)
		if !ok {
			return math.MaxInt64
		}
		most = max(most, limit(limits))
	}
	return most
}

// Fits implements [store.Limited].
func (s *Store) Fits(e *store.Entry) bool {
	if near, ok := store.As[store.Limited](s.near); !ok || near.Fits(e) {
		return true
	}
	if s.far == nil {
		return false
	}
	far, ok := store.As[store.Limited](s.far)
	return !ok || far.Fits(e)
}

// Local implements [store.Local]: only memory alone waits for nothing.
func (s *Store) Local() bool { return s.far == nil && s.local }

// Unwrap returns the far store, or the near one if there is no other, for store.As.
func (s *Store) Unwrap() any {
	if s.far == nil {
		return s.near
	}
	return s.far
}

// Near returns the near store.
func (s *Store) Near() store.Store { return s.near }
