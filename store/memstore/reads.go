package memstore

import (
	"math/rand/v2"
	"sync/atomic"
)

// reads decides which reads of an item the eviction hears of: in each second the first fifteen, and
// then about one in sixteen. The eviction ranks items by counters that end at 15 and by when they
// were last read, so a popular item ranks as high with these as with all, and hearing of a read
// costs more than finding the item.
type reads struct {
	made  atomic.Uint32 // ids
	slots [2048]atomic.Uint64
}

const (
	mostCounted = 1<<countBits - 1 // how many reads in a second are counted each
	countBits   = 4
	secondBits  = 32 - countBits
)

// id returns an id for an item.
func (r *reads) id() uint32 { return r.made.Add(1) }

// counts reports whether the eviction hears of a read of an item at now, by the engine's clock. A
// slot holds an item's id, a second, and how many reads were counted in it. Items share slots, and
// each takes over what it finds: that, and reads at once, change how many are counted by a few.
func (r *reads) counts(id uint32, now int64) bool {
	slot := &r.slots[id%uint32(len(r.slots))]
	second := uint64(now>>30) & (1<<secondBits - 1) // about one
	start := uint64(id)<<32 | second<<countBits
	held := slot.Load()
	switch counted := held & mostCounted; {
	case held-counted != start:
		slot.Store(start | 1)
	case counted < mostCounted:
		slot.Store(held + 1)
	default:
		return rand.Uint32()%(mostCounted+1) == 0
	}
	return true
}
