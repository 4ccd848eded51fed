package middleware

import (
	"hash/maphash"
	"sync"
	"time"
)

// keyLocks lets one goroutine at a time work on a key. The locks of different keys are independent,
// so that no key waits for what a slow store does with another.
type keyLocks struct{ shards [keyShards]keyLockShard }

type keyLockShard struct {
	mu    sync.Mutex // held for no call
	held  map[string]*keyLock
	spare *keyLock // one that nobody uses, for the next key
}

type keyLock struct {
	free  chan struct{} // holds a value while nobody has the lock
	users int           // requests that have it or wait for it
}

// heldLock is the lock of a key, for the one who has it.
type heldLock struct {
	sh  *keyLockShard
	key string
	k   *keyLock
}

// lock waits until the key is free, but no longer than patience. ok is false when it was not free;
// otherwise unlock must follow.
func (l *keyLocks) lock(key string, patience time.Duration) (h heldLock, ok bool) {
	sh := &l.shards[maphash.String(seed, key)%keyShards]
	h = heldLock{sh, key, sh.enter(key)}
	if !h.k.take(patience) {
		h.leave()
		return h, false
	}
	return h, true
}

// enter returns the lock of a key, with one user more.
func (sh *keyLockShard) enter(key string) *keyLock {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	k := sh.held[key]
	if k == nil {
		if k, sh.spare = sh.spare, nil; k == nil {
			k = &keyLock{free: make(chan struct{}, 1)}
			k.free <- struct{}{}
		}
		if sh.held == nil {
			sh.held = map[string]*keyLock{}
		}
		sh.held[key] = k
	}
	k.users++
	return k
}

// unlock frees the key.
func (h heldLock) unlock() {
	h.k.free <- struct{}{}
	h.leave()
}

// leave forgets a lock that nobody has or waits for any more: it is free then.
func (h heldLock) leave() {
	h.sh.mu.Lock()
	defer h.sh.mu.Unlock()
	if h.k.users--; h.k.users == 0 {
		delete(h.sh.held, h.key)
		h.sh.spare = h.k
	}
}

// take takes the lock, if it is free within patience.
func (k *keyLock) take(patience time.Duration) bool {
	select {
	case <-k.free:
		return true
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-k.free:
		return true
	case <-late.C:
		return false
	}
}
