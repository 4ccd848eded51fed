package memstore

import (
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// kept is an entry as the store keeps it: in its compact form, and, while it is asked for often, as
// it is given out, too.
type kept struct {
	store.Compact
	ready atomic.Pointer[store.Entry]
	// used: somebody has asked for it since it was last looked at whether it may stay ready.
	// dropped: the store has it no more.
	used, dropped atomic.Bool
}

// entry returns the entry, ready or made anew.
func (k *kept) entry(key string) *store.Entry {
	if e := k.ready.Load(); e != nil {
		return e
	}
	return k.Entry(key)
}

// ready has the entries that are asked for most as they are given out: making one anew takes a
// microsecond. They take what room the store's bound leaves, and a sixteenth of it at least. An
// entry that is asked for takes the place of one that has not been asked for since it was last
// looked at.
type ready struct {
	bound int64 // of the compact entries and these together
	least int64 // what these may take however many compact entries there are
	held  atomic.Int64
	hand  atomic.Uint32
	rows  []atomic.Pointer[row]
}

// row is a number of places. Rows are made as items get their numbers: in a store of few entries
// there are few.
type row [1 << rowBits]atomic.Pointer[kept]

const rowBits = 8

// readySize is about what one ready entry takes besides its texts and its body.
const readySize = 1 << 11

func newReady(bound int64) *ready {
	rows := 1
	for rows < 1<<12 && int64(rows)<<rowBits*readySize < bound/4 {
		rows *= 2
	}
	return &ready{bound: bound, least: bound / 16, rows: make([]atomic.Pointer[row], rows)}
}

// place returns the place of the item with a number.
func (r *ready) place(id uint32) *atomic.Pointer[kept] {
	at := &r.rows[id>>rowBits%uint32(len(r.rows))]
	of := at.Load()
	if of == nil {
		at.CompareAndSwap(nil, new(row))
		of = at.Load()
	}
	return &of[id%(1<<rowBits)]
}

// get returns the entry of an item with a key and a number. compact is how many bytes all items
// take.
func (r *ready) get(k *kept, key string, id uint32, compact int64) *store.Entry {
	if e := k.ready.Load(); e != nil {
		if !k.used.Load() {
			k.used.Store(true)
		}
		return e
	}
	e := k.Entry(key)
	if e == nil {
		return nil
	}
	r.keep(k, e, r.place(id), compact)
	return e
}

// keep keeps an entry ready, if there is room or its place is another's that may go.
func (r *ready) keep(k *kept, e *store.Entry, at *atomic.Pointer[kept], compact int64) {
	before := at.Load()
	if before != nil && before != k && before.used.Swap(false) {
		return
	}
	size, room := k.SizeOf(e), r.room(compact)
	if r.held.Load()+size > room {
		if r.next(); r.held.Load()+size > room {
			return
		}
	}
	if !k.ready.CompareAndSwap(nil, e) {
		return
	}
	r.held.Add(size)
	if before = at.Swap(k); before != nil && before != k {
		r.release(before)
	}
	if k.dropped.Load() {
		at.CompareAndSwap(k, nil)
		r.release(k)
	}
}

// room is how much may be ready beside so many bytes of compact entries.
func (r *ready) room(compact int64) int64 { return max(r.least, r.bound-compact) }

// makeRoom lets go of entries until there is room for what was stored.
func (r *ready) makeRoom(compact int64) {
	for range len(r.rows) << rowBits {
		if r.held.Load() <= r.room(compact) {
			return
		}
		r.next()
	}
}

// next lets go of the entry at the next place, unless it has been asked for since the last time.
func (r *ready) next() {
	n := r.hand.Add(1)
	of := r.rows[n>>rowBits%uint32(len(r.rows))].Load()
	if of == nil {
		r.hand.Add(1<<rowBits - 1)
		return
	}
	at := &of[n%(1<<rowBits)]
	if k := at.Load(); k != nil && !k.used.Swap(false) && at.CompareAndSwap(k, nil) {
		r.release(k)
	}
}

// drop lets go of the item with a number, which the store has no more.
func (r *ready) drop(k *kept, id uint32) {
	if of := r.rows[id>>rowBits%uint32(len(r.rows))].Load(); of != nil {
		if at := &of[id%(1<<rowBits)]; at.Load() == k {
			at.CompareAndSwap(k, nil)
		}
	}
	r.release(k)
}

func (r *ready) release(k *kept) {
	if k.ready.Load() == nil {
		return
	}
	if e := k.ready.Swap(nil); e != nil {
		r.held.Add(-k.SizeOf(e))
	}
}
