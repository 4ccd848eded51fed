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
	mu   sync.Mutex // held for no call
	held map[string]*keyLock
}

type keyLock struct {
	free  chan struct{} // holds a value while nobody has the lock
	users int           // requests that have it or wait for it
}

// lock waits until the key is free, but no longer than patience, and returns what frees it again;
// nil: it was not free.
func (l *keyLocks) lock(key string, patience time.Duration) (unlock func()) {
	sh := &l.shards[maphash.String(seed, key)%keyShards]
	sh.mu.Lock()
	k := sh.held[key]
	if k == nil {
		k = &keyLock{free: make(chan struct{}, 1)}
		k.free <- struct{}{}
		if sh.held == nil {
			sh.held = map[string]*keyLock{}
		}
		sh.held[key] = k
	}
	k.users++
	sh.mu.Unlock()

	leave := func() {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(sh.held, key)
		}
	}
	if !k.take(patience) {
		leave()
		return nil
	}
	return func() {
		k.free <- struct{}{}
		leave()
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
