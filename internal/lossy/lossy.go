// Package lossy has a table that forgets: for what is cheap to make or to learn again, and dear to
// look for.
package lossy

import "sync/atomic"

// Table is a map of bounded size, without locks. Each key has one slot, and takes it from the key
// that had it. The slots are made when something is put into one: the garbage collector looks at
// each. It is safe for concurrent use.
type Table[K comparable, V any] struct {
	size  uint64
	slots *atomic.Pointer[[]atomic.Pointer[slot[K, V]]]
}

type slot[K comparable, V any] struct {
	key   K
	value V
}

// New returns a table of so many slots, a power of two.
func New[K comparable, V any](size int) Table[K, V] {
	if size <= 0 || size&(size-1) != 0 {
		panic("lossy: the size is no power of two")
	}
	return Table[K, V]{uint64(size), new(atomic.Pointer[[]atomic.Pointer[slot[K, V]]])}
}

// at returns the slot of a key with a hash, or nil where there are none yet.
func (t *Table[K, V]) at(hash uint64) *atomic.Pointer[slot[K, V]] {
	slots := t.slots.Load()
	if slots == nil {
		return nil
	}
	return &(*slots)[hash&uint64(len(*slots)-1)]
}

// Find returns the value that was put last under a key, if its slot still has it. hash is a hash of
// the key.
func (t *Table[K, V]) Find(hash uint64, key K) (value V, ok bool) {
	at := t.at(hash)
	if at == nil {
		return value, false
	}
	if held := at.Load(); held != nil && held.key == key {
		return held.value, true
	}
	return value, false
}

// Put puts a value under a key.
func (t *Table[K, V]) Put(hash uint64, key K, value V) {
	at := t.at(hash)
	if at == nil {
		slots := make([]atomic.Pointer[slot[K, V]], t.size)
		t.slots.CompareAndSwap(nil, &slots)
		at = t.at(hash)
	}
	at.Store(&slot[K, V]{key, value})
}

// Delete removes what was put under a key before.
func (t *Table[K, V]) Delete(hash uint64, key K) {
	at := t.at(hash)
	if at == nil {
		return
	}
	if held := at.Load(); held != nil && held.key == key {
		at.CompareAndSwap(held, nil)
	}
}
