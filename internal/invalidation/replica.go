package invalidation

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// What a Replica remembers when not told otherwise: the marks on so many keys and tags, and on so
// many prefixes. A name with both hard and soft marks counts twice.
const (
	DefaultBound       = 3 << 19 // 3/4 of the slots of 16 bytes in 32 MiB
	defaultPrefixBound = 3 << 17 // the same in 8 MiB
)

// Replica is what one node knows of a journal: the newest numbers per key, tag and prefix, and a
// floor below which everything counts as invalidated. It is safe for concurrent use. Asking it
// takes no lock and allocates nothing.
//
// It is bounded. It remembers names by 62 bits of a keyed hash, never by themselves, in two tables
// that double as they fill: 1,572,864 keys and tags in 32 MiB, and 393,216 prefixes in 8 MiB; while
// a table is replaced, both the old and the new one are there. Past that it folds the oldest of
// them into tables of numbers by hash, of 16 MiB and 4 MiB, where names share places. So it only
// ever judges entries too strictly, and none that were filled after what it folded.
//
// The floor rises with MarkEverything alone, and with marks of kinds that it does not know: many
// invalidations do not invalidate everything.
type Replica struct {
	// head is published last by Apply, so that its readers find the marks up to it.
	head atomic.Uint64
	// floor is read last by covers, and raised by Apply before the marks below it go, so that no
	// interleaving finds neither the mark nor the floor.
	floor    atomic.Uint64
	softAll  atomic.Uint64               // newest soft Everything
	names    atomic.Pointer[hashedMarks] // of keys and tags; nil if there are none
	prefixes atomic.Pointer[prefixMarks] // nil if there are none

	seed maphash.Seed // of the hashes of keys and tags

	applied func() // or nil; see Notify

	mu             sync.Mutex // held by Apply, never by a reader
	maxNameSlots   int
	maxPrefixSlots int
}

// NewReplica returns an empty replica that remembers the marks on up to bound keys and tags, and on
// as many prefixes. If bound is 0 or less, it remembers those on 1,572,864 keys and tags and on
// 393,216 prefixes.
func NewReplica(bound int) *Replica {
	names, prefixes := bound, bound
	if bound <= 0 {
		names, prefixes = DefaultBound, defaultPrefixBound
	}
	return &Replica{seed: maphash.MakeSeed(), maxNameSlots: slotsFor(names),
		maxPrefixSlots: slotsFor(prefixes)}
}

// slotsFor returns the size of a table for so many marks.
func slotsFor(marks int) int {
	slots := 4
	for slots*3/4 < marks {
		slots *= 2
	}
	return slots
}

// Head is the greatest number applied so far.
func (r *Replica) Head() uint64 { return r.head.Load() }

// Floor is the number below which every entry counts as invalidated.
func (r *Replica) Floor() uint64 { return r.floor.Load() }

// Covers returns what the marks newer than e.Number mean for the entry. When none is newer, it
// costs one atomic load.
func (r *Replica) Covers(e *store.Entry) Coverage {
	if r.head.Load() <= e.Number {
		return CoverageNone
	}
	uri := e.URI
	if uri == "" {
		uri = e.Key
	}
	return r.covers(uri, e.Tags, e.Number)
}

func (r *Replica) covers(uri string, tags []string, fill uint64) Coverage {
	c := CoverageNone
	if names := r.names.Load(); names != nil && names.newest.Load() > fill {
		look := names.look()
		if key := hardKey(r.hash(store.MarkKey, uri)); !look.lacks(key) {
			c = look.covers(key, fill)
		}
		for _, tag := range tags {
			if key := hardKey(r.hash(store.MarkTag, tag)); !look.lacks(key) {
				c = max(c, look.covers(key, fill))
			}
		}
	}
	if prefixes := r.prefixes.Load(); prefixes != nil && prefixes.marks.newest.Load() > fill {
		c = max(c, prefixes.covers(uri, fill))
	}
	c = max(c, newer(0, r.softAll.Load(), fill))
	return max(c, newer(r.floor.Load(), 0, fill)) // last: see Replica.floor
}

func (r *Replica) hash(kind store.MarkKind, name string) uint64 {
	return maphash.String(r.seed, canonical(name)) + uint64(kind)*0x9e3779b97f4a7c15
}

// Apply takes note of a mark. Once it has returned, every later question sees the mark. Marks may
// come in any order, and more than once.
//
// Head may pass a number that has not been applied yet. A fill that begins then has the number up to
// which all have been: see follower.Seen.
func (r *Replica) Apply(n store.Numbered) {
	if r.applied != nil && n.Kind.Covers() {
		defer r.applied()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.Number > r.floor.Load() {
		switch {
		case !n.Kind.Covers():
		case n.Kind == store.MarkKey || n.Kind == store.MarkTag:
			r.applyName(n)
		case n.Kind == store.MarkPrefix:
			r.applyPrefix(n)
		case n.Kind == store.MarkEverything && n.Soft:
			atomicMax(&r.softAll, n.Number)
		default: // also a kind that this version does not know: better too strict
			r.raise(n.Number)
		}
	}
	atomicMax(&r.head, n.Number)
}

// Notify has Apply call f each time that it has taken note of a mark that may cover something. f must
// be quick. Call Notify before the replica is shared.
func (r *Replica) Notify(f func()) { r.applied = f }

// Advance raises the head to number: for a node that has caught up with a journal whose newest
// marks it needs not know.
func (r *Replica) Advance(number uint64) { atomicMax(&r.head, number) }

func (r *Replica) applyName(n store.Numbered) {
	names := r.names.Load()
	if names == nil {
		names = newHashedMarks(r.maxNameSlots)
		r.names.Store(names)
	}
	names.note(r.hash(n.Kind, n.Name), n.Number, n.Soft)
}

func (r *Replica) applyPrefix(n store.Numbered) {
	prefixes := r.prefixes.Load()
	if prefixes == nil {
		prefixes = newPrefixMarks(r.maxPrefixSlots)
		r.prefixes.Store(prefixes)
	}
	prefixes.note(n.Name, n.Number, n.Soft)
}

// raise sets the floor and then drops the marks that it makes needless.
func (r *Replica) raise(floor uint64) {
	atomicMax(&r.floor, floor)
	if names := r.names.Load(); names != nil && !names.drop(floor) {
		r.names.Store(nil)
	}
	if prefixes := r.prefixes.Load(); prefixes != nil && !prefixes.marks.drop(floor) {
		r.prefixes.Store(nil)
	}
}

func atomicMax(a *atomic.Uint64, n uint64) {
	for {
		old := a.Load()
		if n <= old || a.CompareAndSwap(old, n) {
			return
		}
	}
}
