package middleware

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/freshet-go/freshet/store"
)

// reads has one request at a time read a key from a store that is not in this process. Those that
// ask for the key meanwhile wait for its answer: however many clients ask for a long body, the
// server sends it once at a time.
//
// A write ends that: what began to read before it is not shared with those who ask after it. What
// another process writes may be missed by as long as a read lasts, which StoreTimeout bounds.
type reads struct{ shards [keyShards]readShard }

type readShard struct {
	mu sync.Mutex
	m  map[readKey]*read
}

// readKey is what is asked for: past the near tier, or not.
type readKey struct {
	key       string
	skipsNear bool
}

// read is one call to the store. What it returned may be looked at once done is closed.
type read struct {
	done  chan struct{}
	entry *store.Entry
	err   error
}

func (r *reads) shard(key string) *readShard {
	return &r.shards[maphash.String(seed, key)%keyShards]
}

// join returns the read of k that is under way, or a new one, which the caller leads: it must make
// the call, and then end the read.
func (r *reads) join(k readKey) (one *read, leads bool) {
	sh := r.shard(k.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if one := sh.m[k]; one != nil {
		return one, false
	}
	one = &read{done: make(chan struct{})}
	if sh.m == nil {
		sh.m = map[readKey]*read{}
	}
	sh.m[k] = one
	return one, true
}

// end lets those who wait have what one returned.
func (r *reads) end(k readKey, one *read) {
	sh := r.shard(k.key)
	sh.mu.Lock()
	if sh.m[k] == one {
		delete(sh.m, k)
	}
	sh.mu.Unlock()
	close(one.done)
}

// wait returns what the call to the store returned, or the error of ctx when that is done first.
func (one *read) wait(ctx context.Context) (*store.Entry, error) {
	select {
	case <-one.done:
		return one.entry, one.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// written has those who ask for key from now on read it anew.
func (r *reads) written(key string) {
	sh := r.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.m, readKey{key, false})
	delete(sh.m, readKey{key, true})
}
