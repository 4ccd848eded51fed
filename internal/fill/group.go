package fill

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const shards = 64

// Group holds the fills that requests may read along with, by the keys under which requests for one
// response meet. Its locks are spread over the keys. Budget and Pins bound what its fills and their
// readers hold. Init makes one; it is safe for concurrent use.
type Group struct {
	Budget Budget
	Pins   Pins

	seed   maphash.Seed
	shards [shards]shard
	ended  atomic.Uint64 // how many fills have left
}

type shard struct {
	mu sync.Mutex
	m  map[string]*Fill
}

// Init makes the group ready, with the bounds of its fills and of its readers in bytes. stored
// reports whether a body is in the memory that the store counts.
func (g *Group) Init(maxFill, maxRead int64, stored func(key string, body []byte) bool) {
	g.Budget.limit = maxFill
	g.Pins = Pins{limit: maxRead, stored: stored, pins: map[*byte]*Pin{}}
	g.seed = maphash.MakeSeed()
	for i := range g.shards {
		g.shards[i].m = map[string]*Fill{}
	}
}

// New returns a fill that is in the group under no key.
func (g *Group) New(s Start) *Fill {
	return &Fill{Start: s, g: g, body: body{limit: s.Limit, keeping: true}}
}

func (g *Group) shard(key string) *shard { return &g.shards[maphash.String(g.seed, key)%shards] }

// Join returns the fill under key if it is usable. Otherwise it calls begin for a new one, which
// takes its place, and reports that the caller leads it. One that is not usable is left to its
// readers. usable and begin must not call the group.
func (g *Group) Join(
	key string, usable func(*Fill) bool, begin func() *Fill,
) (f *Fill, leads bool) {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.m[key]; f != nil {
		if usable(f) {
			return f, false
		}
		g.ended.Add(1) // as far as this request is concerned
	}
	f = begin()
	f.keys = append(f.key[:0], key)
	s.m[key] = f
	return f, true
}

// Find returns the fill under key, if there is one that is usable, or nil.
func (g *Group) Find(key string, usable func(*Fill) bool) *Fill {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.m[key]; f != nil && usable(f) {
		return f
	}
	return nil
}

// Ended counts the fills that have left a key: while it does not change, the store has got nothing
// from them.
func (g *Group) Ended() uint64 { return g.ended.Load() }

// Len returns how many keys there are.
func (g *Group) Len() (n int) {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		n += len(s.m)
		s.mu.Unlock()
	}
	return n
}

// put puts f under key if old is there, which may be nil for nothing.
func (g *Group) put(key string, old, f *Fill) bool {
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[key] != old {
		return false
	}
	s.m[key] = f
	return true
}

// leave takes f away from key, if it is still there.
func (g *Group) leave(key string, f *Fill) {
	s := g.shard(key)
	s.mu.Lock()
	if s.m[key] == f {
		delete(s.m, key)
		g.ended.Add(1)
	}
	s.mu.Unlock()
}

// Alias puts the fill under one more key, unless another fill is there.
func (f *Fill) Alias(key string) {
	if f.g.put(key, nil, f) {
		f.mu.Lock()
		f.keys = append(f.keys, key)
		f.mu.Unlock()
	}
}

// TakeOver puts the fill under the keys of old, in its place: later requests read along with this
// one.
func (f *Fill) TakeOver(old *Fill) {
	old.mu.Lock()
	keys := old.keys
	old.mu.Unlock()
	for _, key := range keys {
		if f.g.put(key, old, f) {
			f.mu.Lock()
			f.keys = append(f.keys, key)
			f.mu.Unlock()
		}
	}
}

// Retire takes the fill out of its group: nobody joins it any more.
func (f *Fill) Retire() {
	f.mu.Lock()
	keys := f.keys
	f.mu.Unlock()
	for _, key := range keys {
		f.g.leave(key, f)
	}
}

// Budget bounds what all fills together hold in memory, in bytes.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// Take takes n bytes, if they are there.
func (b *Budget) Take(n int64) bool {
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

// Give gives n bytes back.
func (b *Budget) Give(n int64) { b.used.Add(-n) }

// Used returns how many bytes are taken.
func (b *Budget) Used() int64 { return b.used.Load() }
