package invalidation

import "sync/atomic"

// foldedMarks holds the newest numbers of marks of which nothing else is known any more, each in
// two slots chosen by a key of hashedMarks. A slot that two marks share may hold a greater number
// than the mark's own, never a lesser; the lesser of a mark's two slots is the better guess. Soft
// marks count as hard. One writer at a time; readers need no lock.
type foldedMarks struct {
	slots []atomic.Uint64 // a power of two
}

func newFoldedMarks(slots int) *foldedMarks {
	return &foldedMarks{slots: make([]atomic.Uint64, slots)}
}

// pair leaves out the bits of the key that are no hash.
func (f *foldedMarks) pair(key uint64) (a, b *atomic.Uint64) {
	last := uint64(len(f.slots) - 1)
	return &f.slots[key>>2&last], &f.slots[key>>33&last]
}

func (f *foldedMarks) note(key, number uint64) {
	a, b := f.pair(key)
	atomicMax(a, number)
	atomicMax(b, number)
}

// newest is at least the newest number noted for the key.
func (f *foldedMarks) newest(key uint64) uint64 {
	a, b := f.pair(key)
	return min(a.Load(), b.Load())
}
