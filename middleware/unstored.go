package middleware

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
)

// coming holds the entries that are on their way to the store, by their keys. A client has its
// answer before the store has taken it, and may at once ask for a part of it, or by HEAD. What the
// store does not have yet is found here, and judged as if it had. While nothing is on its way, that
// costs one atomic load.
type coming struct {
	count  atomic.Int64
	shards [keyShards]comingShard
}

type comingShard struct {
	mu      sync.Mutex
	m       map[string]*store.Entry
	arrived atomic.Uint64 // how many have left, or are about to
}

func (s *coming) shard(key string) *comingShard {
	return &s.shards[maphash.String(seed, key)%keyShards]
}

// enter adds an entry, whole and not to be changed any more, unless one of a run that began later is
// there. leave must follow, whatever becomes of it.
func (s *coming) enter(e *store.Entry) {
	s.count.Add(1)
	sh := s.shard(e.Key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.m == nil {
		sh.m = map[string]*store.Entry{}
	}
	if other := sh.m[e.Key]; other != nil && other.Requested.After(e.Requested) {
		return // a run that began later was faster, and its response may have been served from here
	}
	sh.m[e.Key] = e
}

// leave removes an entry that the store has now, or will not have.
func (s *coming) leave(e *store.Entry) {
	sh := s.shard(e.Key)
	sh.arrived.Add(1) // first: who does not find it here any more must see that it has arrived
	sh.mu.Lock()
	if sh.m[e.Key] == e { // or else a newer one has taken its place
		delete(sh.m, e.Key)
	}
	sh.mu.Unlock()
	s.count.Add(-1)
}

// none reports whether nothing is on its way: then what the store does not have is not here either,
// before that or after.
func (s *coming) none() bool { return s.count.Load() == 0 }

func (sh *comingShard) find(key string) *store.Entry {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.m[key]
}

// depart makes what is to be stored findable before any client can have the whole of it. save ends
// that.
func (n *run) depart(e *store.Entry) {
	if e == nil || n.found.broken == reasonJournal || n.x.c.options.ReadOnly ||
		n.f.GivenUp() != "" {
		return
	}
	if e = n.joined(e); e == nil {
		n.kept, n.out.Stored = nil, false
		return
	}
	n.index(e)
	if e != n.packed {
		e = e.Packed()
	}
	n.kept, n.packed, n.coming = e, e, e
	n.x.c.coming.enter(e)
}

// departs is depart, as soon as nobody outside can set a field any more that keeps the response
// from others.
func (n *run) departs() {
	if n.kept != nil && !bare(n.x.w) {
		n.after.departs = true
		return
	}
	n.depart(n.kept)
}

// arrived says that what was announced is stored, or will not be.
func (n *run) arrived() {
	if e := n.coming; e != nil {
		n.coming = nil
		n.x.c.coming.leave(e)
	}
}

// finishFor is how long a request for a part waits for a handler that has written all that it
// declared.
const finishFor = time.Second

// finishes waits for the end of a fill whose whole body its clients may have already, although its
// handler has not returned: they may ask for a part of it next. It reports whether the request
// should look again.
func (l *lookup) finishes() bool {
	f := l.x.c.fills.Find(l.found.flight, l.mayJoin)
	if f == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(l.x.r.Context(), finishFor)
	defer cancel()
	return f.Finished(ctx)
}
