package tieredstore

import (
	"hash/maphash"
	"sync"
)

// writes numbers the writes to near and far together, so that a call that has asked the far store
// knows afterwards whether the answer may be out of date. Keys share lanes: a write to another key
// of the lane counts too, and costs at worst a copy that the Store does not keep.
type writes struct {
	seed  maphash.Seed
	lanes [1024]lane
}

// lane is a share of the keys. A call holds its lock while it changes the near store, never while
// it asks the far one.
type lane struct {
	mu     sync.Mutex
	number uint64 // of writes ended
}

func newWrites() *writes { return &writes{seed: maphash.MakeSeed()} }

func (w *writes) lane(key string) *lane {
	return &w.lanes[maphash.String(w.seed, key)%uint64(len(w.lanes))]
}

// begin notes how many writes have ended before the question to the far store.
func (w *writes) begin(key string) (l *lane, seen uint64) {
	l = w.lane(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l, l.number
}

func (l *lane) locked(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
}

// end ends a write: do changes the near store, and hears whether no other write has ended since
// begin.
func (l *lane) end(seen uint64, do func(alone bool)) {
	l.locked(func() {
		alone := l.number == seen
		l.number++
		do(alone)
	})
}

// endAll ends a write to all keys.
func (w *writes) endAll(do func()) {
	for i := range w.lanes {
		w.lanes[i].mu.Lock()
		w.lanes[i].number++
	}
	defer func() {
		for i := range w.lanes {
			w.lanes[i].mu.Unlock()
		}
	}()
	do()
}
