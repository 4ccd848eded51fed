package invalidation

import (
	"slices"
	"sync/atomic"
)

// hashedMarks holds marks by the hashes of their names, so that names take no room. Its table
// doubles as it fills, up to a budget. Past that it folds the oldest sixteenth of the marks, each
// time; after the first, 8 in 1000 names without a mark of their own are taken for marked. One
// writer at a time; readers need no lock.
type hashedMarks struct {
	// newest is the newest number noted. What was filled since need not look further.
	newest atomic.Uint64
	table  atomic.Pointer[hashTable]
	folded atomic.Pointer[foldedMarks] // nil until the table outgrew its budget; read after it

	maxSlots int // of each of the two
}

// minHashSlots is the size of the first table, unless its budget is smaller.
const minHashSlots = 1 << 8

// newHashedMarks returns one with a budget of so many slots, a power of two from 4 on: of 16 bytes
// each, and of 8 more from when marks are folded.
func newHashedMarks(maxSlots int) *hashedMarks {
	h := &hashedMarks{maxSlots: maxSlots}
	h.table.Store(newHashTable(min(minHashSlots, maxSlots)))
	return h
}

// covers returns what the marks on the name with this hash mean for what was filled at the number
// fill.
func (h *hashedMarks) covers(hash, fill uint64) Coverage {
	look, key := h.look(), hardKey(hash)
	if look.lacks(key) {
		return CoverageNone
	}
	return look.covers(key, fill)
}

// hashedLook is hashedMarks as they are at one moment, for questions about several names. The slots
// come first: see hashedMarks.folded.
type hashedLook struct {
	slots  []hashSlot
	folded *foldedMarks
}

func (h *hashedMarks) look() hashedLook { return hashedLook{h.table.Load().slots, h.folded.Load()} }

// lacks reports, of most names on which there are no marks, that there are none, by their hard key.
// It is small enough for the compiler to put it in line.
func (l hashedLook) lacks(key uint64) bool {
	return l.slots[key>>2&uint64(len(l.slots)-1)].key.Load() == 0 && l.folded == nil
}

func (l hashedLook) covers(key, fill uint64) Coverage {
	c := coversIn(l.slots, key, fill)
	if l.folded != nil {
		c = max(c, newer(l.folded.newest(key), 0, fill))
	}
	return c
}

// note notes the number of a mark on the name with this hash.
func (h *hashedMarks) note(hash, number uint64, soft bool) {
	key := hardKey(hash)
	if soft {
		key |= keySoft
	}
	h.withRoom().note(key, number)
	atomicMax(&h.newest, number)
}

// withRoom returns a table with room for a mark, which readers can see already. Half of its slots
// are used at most, so that readers probe few; of one that cannot grow, three quarters.
func (h *hashedMarks) withRoom() *hashTable {
	t := h.table.Load()
	switch slots := len(t.slots); {
	case t.used < slots/2 || slots == h.maxSlots && t.used < slots*3/4:
		return t
	case slots < h.maxSlots:
		t = t.above(0, 2*slots)
	default:
		t = h.fold(t)
	}
	h.table.Store(t)
	return t
}

// fold folds the oldest sixteenth of the table's marks, and returns a table of the others. Folded
// marks can be found before they are gone from the table, so that no reader finds them in neither.
func (h *hashedMarks) fold(t *hashTable) *hashTable {
	numbers := t.numbers()
	slices.Sort(numbers)
	floor := numbers[len(numbers)/16]

	folded := h.folded.Load()
	if folded == nil {
		folded = newFoldedMarks(h.maxSlots)
		h.folded.Store(folded)
	}
	for i := range t.slots {
		s := &t.slots[i]
		if key, number := s.key.Load(), s.number.Load(); key != 0 && number <= floor {
			folded.note(key, number)
		}
	}
	return t.above(floor, len(t.slots))
}

// drop drops the marks up to floor, except folded ones, and reports whether there are newer ones.
func (h *hashedMarks) drop(floor uint64) (left bool) {
	if h.newest.Load() <= floor {
		return false
	}
	t := h.table.Load()
	h.table.Store(t.above(floor, len(t.slots)))
	return true
}
