package invalidation

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// DefaultBound is the number of marks that a Replica remembers when not told otherwise.
const DefaultBound = 1 << 16

// A Replica's other limits: bytes of names, on average, per mark of its bound; and prefix marks,
// which are compared one by one.
const (
	replicaNameBytes = 256
	replicaPrefixes  = 128
)

// Replica is what one node knows of a journal: the newest number per key, tag and prefix, and a
// floor below which everything counts as invalidated. It is safe for concurrent use. Asking it
// takes no lock and allocates nothing.
//
// It is bounded. The oldest key and tag marks, where it would hold too many, it folds into a table
// of numbers by hash; prefix marks that it would have to forget it covers by raising the floor. In
// both ways it only ever judges entries too strictly, and nobody who can cause invalidations can
// have the whole cache invalidated by causing many.
type Replica struct {
	// head is published last by Apply, so that its readers find the marks up to it.
	head atomic.Uint64
	// floor is read last by covers, and raised by Apply before the marks below it go, so that no
	// interleaving finds neither the mark nor the floor.
	floor    atomic.Uint64
	softAll  atomic.Uint64 // newest soft Everything
	named    atomic.Pointer[markTable]
	folded   atomic.Pointer[foldedMarks] // nil until named outgrew its bound; read after it
	prefixes atomic.Pointer[[]namedMark] // newest first; never modified

	mu       sync.Mutex // held by Apply, never by a reader
	maxMarks int
	maxBytes int
}

// NewReplica returns an empty replica that remembers up to bound marks (DefaultBound if bound is
// 0 or less), names of 256 bytes on average, and up to 128 prefixes among them.
func NewReplica(bound int) *Replica {
	if bound <= 0 {
		bound = DefaultBound
	}
	r := &Replica{maxMarks: bound, maxBytes: bound * replicaNameBytes}
	r.named.Store(newMarkTable(0))
	r.prefixes.Store(new([]namedMark))
	return r
}

// Head is the greatest number applied so far: what a fill that begins now notes as its Fill.
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
	named := r.named.Load()
	c := named.covers(store.MarkKey, uri, fill)
	for _, tag := range tags {
		c = max(c, named.covers(store.MarkTag, tag, fill))
	}
	if folded := r.folded.Load(); folded != nil {
		c = max(c, newer(folded.newest(store.MarkKey, uri), 0, fill))
		for _, tag := range tags {
			c = max(c, newer(folded.newest(store.MarkTag, tag), 0, fill))
		}
	}
	for _, p := range *r.prefixes.Load() {
		if p.newest() <= fill {
			break
		}
		if strings.HasPrefix(uri, p.name) {
			c = max(c, newer(p.hard, p.soft, fill))
		}
	}
	c = max(c, newer(0, r.softAll.Load(), fill))
	return max(c, newer(r.floor.Load(), 0, fill)) // last: see Replica.floor
}

// Apply takes note of a mark. Once it has returned, every later question sees the mark. Marks may
// come in any order, and more than once.
//
// Head may pass a number that has not been applied yet. That is safe: a fill that begins with head
// n begins after every number up to n was given out, and so reads what those marks speak of.
func (r *Replica) Apply(n store.Numbered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.Number > r.floor.Load() {
		switch {
		case n.Kind == store.MarkKey || n.Kind == store.MarkTag:
			r.applyNamed(n)
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

// Advance raises the head to number: for a node that has caught up with a journal whose newest
// marks it needs not know.
func (r *Replica) Advance(number uint64) { atomicMax(&r.head, number) }

func (r *Replica) applyNamed(n store.Numbered) {
	t := r.named.Load()
	t.put(n)
	if t.count > r.maxMarks || t.bytes > r.maxBytes {
		r.fold(t, t.floorFor(r.maxMarks*3/4, r.maxBytes*3/4))
		return
	}
	if t.full() {
		r.named.Store(t.above(0)) // with more room
	}
}

// fold moves the marks up to number from the table to where they take no room of their own. They
// are there before they are gone from here, so that no reader finds them in neither.
func (r *Replica) fold(t *markTable, number uint64) {
	folded := r.folded.Load()
	if folded == nil {
		folded = newFoldedMarks(r.maxMarks)
		r.folded.Store(folded)
	}
	for _, n := range t.nodes() {
		if newest := n.newest(); newest <= number {
			folded.note(n.kind, n.name, newest)
		}
	}
	r.named.Store(t.above(number))
}

func (r *Replica) applyPrefix(n store.Numbered) {
	m := namedMark{name: strings.Clone(n.Name)}
	m.note(n)
	var kept []namedMark
	bytes := len(m.name)
	for _, p := range *r.prefixes.Load() {
		switch {
		case p.name == n.Name:
			m.hard, m.soft = max(m.hard, p.hard), max(m.soft, p.soft)
		case strings.HasPrefix(p.name, n.Name) && p.newest() <= m.hard:
			// Whatever the longer prefix covers, the new one does too.
		default:
			kept = append(kept, p)
			bytes += len(p.name)
		}
	}
	kept = append(kept, m)
	slices.SortFunc(kept, func(a, b namedMark) int { return cmp.Compare(b.newest(), a.newest()) })

	r.prefixes.Store(&kept)

	if limit := min(replicaPrefixes, r.maxMarks); len(kept) > limit || bytes > r.maxBytes {
		floor := uint64(0)
		for n := len(kept); n > limit*3/4 || bytes > r.maxBytes*3/4; n-- {
			floor = kept[n-1].newest()
			bytes -= len(kept[n-1].name)
		}
		r.raise(floor)
	}
}

// raise sets the floor and then drops the marks that it makes needless.
func (r *Replica) raise(floor uint64) {
	atomicMax(&r.floor, floor)
	r.named.Store(r.named.Load().above(floor))
	kept := slices.Clone(*r.prefixes.Load())
	kept = slices.DeleteFunc(kept, func(p namedMark) bool { return p.newest() <= floor })
	r.prefixes.Store(&kept)
}

// namedMark is a name with the newest numbers that hard and soft marks gave it.
type namedMark struct {
	name       string
	hard, soft uint64
}

func (m namedMark) newest() uint64 { return max(m.hard, m.soft) }

func (m *namedMark) note(n store.Numbered) {
	if n.Soft {
		m.soft = max(m.soft, n.Number)
	} else {
		m.hard = max(m.hard, n.Number)
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
