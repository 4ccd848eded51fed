// Package memstore keeps entries in this process's memory, within a bound in bytes.
package memstore

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/freshet-go/freshet/store"
)

// DefaultBytes is the bound of a Store that was not told otherwise: 256 MiB.
const DefaultBytes = 256 << 20

// overhead is what keeping an entry costs besides [store.Entry.Size]: the engine's node, its place in
// the hash table, and ours.
const overhead = 192

// Store keeps entries in memory. It holds the very entries it was given and gives them to all who ask.
// It is safe for concurrent use. A Get takes no lock that is shared by all keys, starts no goroutine
// and allocates nothing. No call waits for anything; contexts are not looked at.
//
// When the bound is reached the entries that are asked for least, and least lately, make room; so an
// entry may be gone at any time, at once even. An entry that is greater than a quarter of the bound is
// not kept, so that one response cannot empty the whole cache.
type Store struct {
	cache  *otter.Cache[string, *item]
	clock  *clock
	limit  int64 // greatest entry
	closed atomic.Bool
}

// item is an entry with the time, by the Store's clock, when it ends.
type item struct {
	entry    *store.Entry
	deadline int64
	weight   uint32
}

// lifetime is what is left at now: never 0 or less, which the engine reads as "never ends", even if a
// tick has come between Set's reading of the clock and the engine's.
func (it *item) lifetime(now int64) time.Duration {
	return time.Duration(max(it.deadline-now, 1))
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Local = (*Store)(nil)
)

// New returns an empty store that holds at most maxBytes bytes: bodies, headers, keys and the overhead
// of keeping them. 0 or less: DefaultBytes.
//
// The bound is on what is kept. Go's garbage collector lets the heap grow to twice of what is in use
// before it collects, so that a process takes about 2.2 times the bound. Where that matters, set
// GOMEMLIMIT to the bound plus what the app needs itself, with a tenth to spare.
//
// The store has two goroutines that wake up once a second, to tell the time and to drop what has
// expired. Close ends them; so does the garbage collector once the store is out of reach.
func New(maxBytes int64) *Store {
	if maxBytes <= 0 {
		maxBytes = DefaultBytes
	}
	s := &Store{clock: newClock(), limit: min(maxBytes/4, math.MaxUint32)}
	s.cache = otter.Must(&otter.Options[string, *item]{
		MaximumWeight: uint64(maxBytes),
		Weigher:       func(_ string, it *item) uint32 { return it.weight },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, *item]) time.Duration {
			return e.Value.lifetime(e.SnapshotAtNano)
		}),
		// Upkeep runs where it falls due, for a microsecond now and then: cheaper than a goroutine,
		// and what Bytes tells is settled when Set returns.
		Executor: func(task func()) { task() },
		Clock:    s.clock,
	})
	return s
}

// Get implements [store.Store].
func (s *Store) Get(_ context.Context, key string) (*store.Entry, error) {
	it, ok := s.cache.GetIfPresent(key)
	if !ok || it.entry.Key != key || s.clock.passed(it.deadline) {
		return nil, store.ErrNotFound
	}
	return it.entry, nil
}

// Set implements [store.Store]. Its only error is an entry whose Key is another.
func (s *Store) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	if e.Key != key {
		return fmt.Errorf("memstore: set %.100q: the entry's key is %.100q; they must be equal", key, e.Key)
	}
	size := e.Size() + overhead
	if ttl <= 0 || size > s.limit || s.closed.Load() {
		return s.Delete(ctx, key)
	}
	// The entry's own text of the key, so that no second one is kept.
	s.cache.Set(e.Key, &item{entry: e, deadline: s.clock.deadline(ttl), weight: uint32(size)})
	if s.closed.Load() {
		s.cache.InvalidateAll()
	}
	return nil
}

// Delete implements [store.Store].
func (s *Store) Delete(_ context.Context, key string) error {
	s.cache.Invalidate(key)
	return nil
}

// Local implements [store.Local]: no call waits for anything.
func (s *Store) Local() bool { return true }

// Len is the number of entries kept.
func (s *Store) Len() int {
	s.cache.CleanUp()
	return s.cache.EstimatedSize()
}

// Bytes is how many bytes the kept entries take, by the count that the bound is held to.
func (s *Store) Bytes() int64 {
	s.cache.CleanUp()
	return int64(s.cache.WeightedSize())
}

// Close drops all entries and ends the store's goroutines. A closed store works on but keeps nothing.
func (s *Store) Close() {
	s.closed.Store(true)
	s.cache.InvalidateAll()
	s.cache.StopAllGoroutines()
	s.clock.Close()
}
