// Package memstore keeps entries, or bytes, in this process's memory, within a bound in bytes.
package memstore

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// DefaultBytes is the bound of a Store or a Backend for which 0 was given: 256 MiB.
const DefaultBytes = 256 << 20

// overhead is what keeping an entry costs besides its compact form and its key: the engine's node,
// with our item in it, its place in the hash table, and what the compact form is kept in.
const overhead = 192

// Store keeps entries in memory, in their compact form: a page of 1 KiB with nine fields takes some
// 1.4 KiB. It is safe for concurrent use. A Get takes no lock that is shared by all keys and starts
// no goroutine. An entry that is asked for often is kept as it is given out, in what room the bound
// leaves, so that a Get allocates nothing; one that is not is made anew, which takes a microsecond
// or two. No call waits for anything; contexts are not looked at.
//
// When the bound is reached the entries that are asked for least, and least lately, make room; so
// an entry may be gone at any time, at once even. The Store does not keep an entry larger than a
// quarter of the bound, so that one response cannot empty the whole cache.
type Store struct {
	engine  *engine[*kept]
	ready   *ready
	bound   int64
	virtual bool
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Local = (*Store)(nil)

	_ store.Limited  = (*Store)(nil)
	_ store.Measured = (*Store)(nil)
)

// New returns an empty store that holds at most maxBytes bytes: bodies, headers, keys and the
// overhead of keeping them. 0 or less: DefaultBytes.
//
// The bound is on what the store keeps. Go's garbage collector lets the heap grow to twice of what
// is in use before it collects, so that a process takes about 2.2 times the bound. Where that
// matters, set GOMEMLIMIT to the bound plus what the app needs itself, with a tenth to spare.
//
// The store has two goroutines that wake up once a second, to tell the time and to drop what has
// expired. Close ends them; so does the garbage collector once the store is out of reach.
func New(maxBytes int64) *Store { return newStoreOf(maxBytes, newClock()) }

func newStoreOf(maxBytes int64, c *clock) *Store {
	if maxBytes <= 0 {
		maxBytes = DefaultBytes
	}
	s := &Store{ready: newReady(maxBytes), bound: maxBytes}
	compact := maxBytes - s.ready.least
	s.engine = newEngine(compact, compact, c, func(it item[*kept]) {
		it.value.dropped.Store(true)
		s.ready.drop(it.value, it.id)
	})
	return s
}

// NewVirtual returns a store like that of [New] whose time is what now returns, for simulations
// that go through hours in a moment. Time must not run backwards. The store has no goroutine that
// wakes up: what has expired makes room when something is stored.
func NewVirtual(maxBytes int64, now func() time.Time) *Store {
	s := newStoreOf(maxBytes, newVirtualClock(now))
	s.virtual = true
	return s
}

// Get implements [store.Store].
func (s *Store) Get(_ context.Context, key string) (*store.Entry, error) {
	kept, it, ok := s.engine.find(key)
	if !ok {
		return nil, store.ErrNotFound
	}
	e := s.ready.get(it.value, kept, it.id, s.engine.weight.Load())
	if e == nil {
		return nil, store.ErrNotFound
	}
	return e, nil
}

// Set implements [store.Store]. Its only error is an entry whose Key is another.
func (s *Store) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	if e.Key != key {
		return fmt.Errorf("memstore: set %.100q: the entry's key is %.100q; they must be equal",
			key, e.Key)
	}
	if ttl <= 0 {
		return s.Delete(ctx, key)
	}
	if !s.Fits(e) {
		return s.Delete(ctx, key)
	}
	k := new(kept)
	var size int64
	if s.virtual {
		k.Compact, size = e.CompactApart()
	} else {
		k.Compact, size = e.Compact()
	}
	// The key is a piece of its own, since the engine keeps it when the value is another one.
	s.engine.set(strings.Clone(key), k, size+store.SizeOfKey(key)+overhead, ttl)
	s.ready.makeRoom(s.engine.weight.Load())
	return nil
}

// Delete implements [store.Store].
func (s *Store) Delete(_ context.Context, key string) error {
	s.engine.delete(key)
	return nil
}

// Local implements [store.Local]: no call waits for anything.
func (s *Store) Local() bool { return true }

// MaxEntry implements [store.Limited]: a quarter of the bound, less what keeping an entry costs.
func (s *Store) MaxEntry() int64 { return min(s.bound/4, math.MaxUint32/2) - overhead }

// MaxBody implements [store.Limited].
func (s *Store) MaxBody() int64 { return s.MaxEntry() }

// Fits implements [store.Limited].
func (s *Store) Fits(e *store.Entry) bool { return e.Size() <= s.MaxEntry() }

// Len returns the number of entries.
func (s *Store) Len() int { return s.engine.len() }

// Bytes returns how many bytes the entries take, as they count towards the bound.
func (s *Store) Bytes() int64 { return s.engine.bytes() + s.ready.held.Load() }

// MaxBytes returns the bound of Bytes.
func (s *Store) MaxBytes() int64 { return s.bound }

// TierStats implements [store.Measured]. Entries, Bytes, and what was removed are known: reads are
// not counted, because a counter that all of them share would slow them down.
func (s *Store) TierStats() []store.TierStats {
	t := store.NewTierStats("memory")
	t.Entries, t.Bytes, t.MaxBytes = int64(s.Len()), s.Bytes(), s.bound
	t.Evicted, t.Expired = s.engine.evicted.Load(), s.engine.expired.Load()
	t.Reclaimed, t.ReclaimedBytes = s.engine.reclaimed.Load(), s.engine.reclaimedBytes.Load()
	return []store.TierStats{t}
}

// Close drops all entries and ends the store's goroutines. A closed store works on but keeps
// nothing.
func (s *Store) Close() { s.engine.close() }
