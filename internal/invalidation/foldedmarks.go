package invalidation

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// foldedMarks holds the newest numbers of marks whose names are forgotten, each in two slots chosen
// by the name's hash. A slot shared with another name may hold a greater number than the name's
// own, never a lesser; the lesser of a name's two slots is the better guess. Soft marks count as
// hard. One writer at a time; readers need no lock.
type foldedMarks struct {
	seed  maphash.Seed
	slots []atomic.Uint64 // a power of two
}

// newFoldedMarks returns a table for many times as many marks as are remembered by name: 16 slots
// for each, so that of names with no mark of their own fewer than 2 in 100 are taken for marked
// after the first so many marks (8 MiB for 65,536).
func newFoldedMarks(marks int) *foldedMarks {
	size := 1 << 10
	for size < 16*marks {
		size *= 2
	}
	return &foldedMarks{seed: maphash.MakeSeed(), slots: make([]atomic.Uint64, size)}
}

func (f *foldedMarks) pair(kind store.MarkKind, name string) (a, b *atomic.Uint64) {
	hash := maphash.String(f.seed, name) + uint64(kind)*0x9e3779b97f4a7c15
	last := uint64(len(f.slots) - 1)
	return &f.slots[hash&last], &f.slots[hash>>32&last]
}

func (f *foldedMarks) note(kind store.MarkKind, name string, number uint64) {
	a, b := f.pair(kind, name)
	atomicMax(a, number)
	atomicMax(b, number)
}

// newest is at least the newest number noted for the name.
func (f *foldedMarks) newest(kind store.MarkKind, name string) uint64 {
	a, b := f.pair(kind, name)
	return min(a.Load(), b.Load())
}
