package middleware

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/policy"
)

var seed = maphash.MakeSeed()

const flightShards = 64

// flights holds the fills that requests may read along with, by flight key. It is asked only when
// the store had no answer; its locks are spread over the keys.
type flights struct {
	shards [flightShards]flightShard
	ended  atomic.Uint64 // how many fills have left
}

type flightShard struct {
	mu sync.Mutex
	m  map[string]*fill
}

func (s *flights) init() {
	for i := range s.shards {
		s.shards[i].m = map[string]*fill{}
	}
}

func (s *flights) shard(key string) *flightShard {
	return &s.shards[maphash.String(seed, key)%flightShards]
}

// join returns the fill under key, for x to read along with, or puts a new one there and says that x leads it. A
// fill that is useless to x is left to its readers and replaced.
func (s *flights) join(key string, x *exchange) (f *fill, leads bool) {
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if f := sh.m[key]; f != nil {
		if !x.useless(f) {
			return f, false
		}
		s.ended.Add(1) // as far as this request is concerned
	}
	f = x.newFill()
	f.keys = append(f.key[:0], key)
	sh.m[key] = f
	return f, true
}

// find returns the fill under key, if there is one for x to read along with.
func (s *flights) find(key string, x *exchange) *fill {
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if f := sh.m[key]; f != nil && !x.useless(f) {
		return f
	}
	return nil
}

// alias puts f under one more key, unless another fill is there.
func (s *flights) alias(key string, f *fill) bool {
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.m[key] != nil {
		return false
	}
	sh.m[key] = f
	return true
}

// leave takes f away from key, if it is still there.
func (s *flights) leave(key string, f *fill) {
	sh := s.shard(key)
	sh.mu.Lock()
	if sh.m[key] == f {
		delete(sh.m, key)
		s.ended.Add(1)
	}
	sh.mu.Unlock()
}

// passes remembers, for a while, the keys whose responses turned out not to be shareable, and why, so that
// their next clients do not wait for each other. It is a table of fixed size without locks. Two keys
// that meet in a slot push each other out, which costs no more than a wait; a key taken for another
// (once in 2^32) runs the handler by itself for a while.
type passes struct {
	slots   []atomic.Uint64
	mu      sync.Mutex
	reasons atomic.Pointer[[]policy.Reason] // those that were ever remembered, which are few
}

const (
	passSlots    = 1 << 14
	passFor      = 10 * time.Second
	passForError = time.Second // an error page: the next response may well be shareable
)

func (t *passes) init() {
	t.slots = make([]atomic.Uint64, passSlots)
	t.reasons.Store(&[]policy.Reason{ReasonPass})
}

// A slot holds the upper half of the key's hash, the second until which it is remembered, and the reason's place
// among reasons.
const (
	secondBits = 25 // a year
	secondMask = 1<<secondBits - 1
	maxReasons = 1 << (32 - secondBits)
)

func (t *passes) slot(key string) (*atomic.Uint64, uint64) {
	h := maphash.String(seed, key)
	return &t.slots[h%passSlots], h &^ 0xffffffff
}

func (t *passes) remember(key string, until time.Time, why policy.Reason) {
	slot, h := t.slot(key)
	slot.Store(h | t.place(why)<<secondBits | uint64(until.Unix()&secondMask))
}

// place returns a reason's place among reasons: that of ReasonPass for one without a word, and when there is no room.
func (t *passes) place(why policy.Reason) uint64 {
	if why == "" {
		return 0
	}
	i := slices.Index(*t.reasons.Load(), why)
	if i >= 0 {
		return uint64(i)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := *t.reasons.Load()
	if i = slices.Index(all, why); i >= 0 {
		return uint64(i)
	}
	if len(all) == maxReasons {
		return 0
	}
	all = append(slices.Clip(all), why)
	t.reasons.Store(&all)
	return uint64(len(all) - 1)
}

func (t *passes) forget(key string) {
	slot, h := t.slot(key)
	if v := slot.Load(); v&^0xffffffff == h {
		slot.CompareAndSwap(v, 0)
	}
}

// find returns why the last response under the key could not be shared, or nothing when it is not remembered.
func (t *passes) find(key string, now time.Time) policy.Reason {
	slot, h := t.slot(key)
	v := slot.Load()
	if v&^0xffffffff != h {
		return ""
	}
	if left := (int64(v) - now.Unix()) & secondMask; left > int64(passFor/time.Second) {
		return ""
	}
	return (*t.reasons.Load())[v&0xffffffff>>secondBits]
}

// budget bounds what all fills together hold in memory.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	for {
		used := b.used.Load()
		if used+n > b.limit {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (b *budget) give(n int64) { b.used.Add(-n) }
