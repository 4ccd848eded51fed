// Package lossy has a table that forgets: for what is cheap to make or to learn again, and dear to
// look for.
package lossy

import "sync/atomic"

// Table is a map of bounded size, without locks. Each key has one slot, and takes it from the key
// that had it. It is safe for concurrent use.
type Table[K comparable, V any] struct {
	slots []atomic.Pointer[slot[K, V]]
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
	return Table[K, V]{make([]atomic.Pointer[slot[K, V]], size)}
}

// at returns the slot of a key with a hash.
func (t *Table[K, V]) at(hash uint64) *atomic.Pointer[slot[K, V]] {
	return &t.slots[hash&uint64(len(t.slots)-1)]
}

// Find returns the value that was put last under a key, if its slot still has it. hash is a hash of
// the key.
func (t *Table[K, V]) Find(hash uint64, key K) (value V, ok bool) {
	if held := t.at(hash).Load(); held != nil && held.key == key {
		return held.value, true
	}
	return value, false
}

// Put puts a value under a key.
func (t *Table[K, V]) Put(hash uint64, key K, value V) {
	t.at(hash).Store(&slot[K, V]{key, value})
}

// Delete removes what was put under a key before.
func (t *Table[K, V]) Delete(hash uint64, key K) {
	at := t.at(hash)
	if held := at.Load(); held != nil && held.key == key {
		at.CompareAndSwap(held, nil)
	}
}
