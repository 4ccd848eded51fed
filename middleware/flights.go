package middleware

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
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

// replace puts f in the place of old under key, if old is there.
func (s *flights) replace(key string, old, f *fill) bool {
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.m[key] != old {
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
