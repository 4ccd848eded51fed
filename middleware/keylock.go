package middleware

import (
	"hash/maphash"
	"sync"
)

// keyLocks lets one goroutine at a time work on a key. The locks of different keys are independent, so that no key
// waits for what a slow store does with another.
type keyLocks struct{ shards [keyShards]keyLockShard }

type keyLockShard struct {
	mu   sync.Mutex // held for no call
	held map[string]*keyLock
}

type keyLock struct {
	free  chan struct{} // holds a value while nobody has the lock
	users int           // who has it, and who waits for it
}

// lock waits until the key is free, and returns what frees it again.
func (l *keyLocks) lock(key string) (unlock func()) {
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

	<-k.free
	return func() {
		k.free <- struct{}{}
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(sh.held, key)
		}
	}
}
