package invalidation

import "sync/atomic"

// hashTable maps the hashes of names to the newest numbers of the marks on them: open addressing
// with linear probing, 16 bytes a slot. Hard and soft marks on one name are apart, in two slots of
// one run. One writer at a time; readers need no lock: a slot's number is there before its key, the
// key never changes, and the number only grows. Nothing is ever removed: the writer makes a new
// table instead.
type hashTable struct {
	slots []hashSlot // a power of two, never all used

	used int // the writer's own
}

type hashSlot struct {
	key    atomic.Uint64 // 0: the slot and all behind it in a run are unused
	number atomic.Uint64
}

// The two lowest bits of a key are no hash: one tells soft marks from hard ones, the other keeps a
// key from being 0.
const (
	keySoft = 1 << iota
	keyUsed
)

// hardKey returns the key of hard marks on the name with this hash. With keySoft it is the one of
// soft marks.
func hardKey(hash uint64) uint64 { return hash&^keySoft | keyUsed }

func newHashTable(slots int) *hashTable { return &hashTable{slots: make([]hashSlot, slots)} }

// note notes a number for a key, for which there must be room.
func (t *hashTable) note(key, number uint64) {
	last := uint64(len(t.slots) - 1)
	for i := key >> 2; ; i++ {
		s := &t.slots[i&last]
		switch s.key.Load() {
		case key:
			atomicMax(&s.number, number)
			return
		case 0:
			s.number.Store(number)
			s.key.Store(key)
			t.used++
			return
		}
	}
}

// coversIn returns what the marks on a name, by their hard key, mean for what was filled at the
// number fill. The slots are those of a table.
func coversIn(slots []hashSlot, key, fill uint64) Coverage {
	last := uint64(len(slots) - 1)
	var hard, soft uint64
	for i := key >> 2; ; i++ {
		s := &slots[i&last]
		found := s.key.Load()
		switch {
		case found == 0:
			return newer(hard, soft, fill)
		case found == key:
			hard = s.number.Load()
		case found == key|keySoft:
			soft = s.number.Load()
		}
	}
}

// above returns a new table of so many slots with the marks newer than floor.
func (t *hashTable) above(floor uint64, slots int) *hashTable {
	into := newHashTable(slots)
	for i := range t.slots {
		s := &t.slots[i]
		if key, number := s.key.Load(), s.number.Load(); key != 0 && number > floor {
			into.note(key, number)
		}
	}
	return into
}

// numbers returns the number of each mark, in no order.
func (t *hashTable) numbers() []uint64 {
	numbers := make([]uint64, 0, t.used)
	for i := range t.slots {
		if s := &t.slots[i]; s.key.Load() != 0 {
			numbers = append(numbers, s.number.Load())
		}
	}
	return numbers
}
