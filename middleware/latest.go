package middleware

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

// A run may be slow to store what it has: its store is slow, or its client takes what it is sent as
// slowly as it likes. Meanwhile another run of the key may begin, and store what is newer. What
// began earlier does not take its place.

// latest remembers of keys which run has stored last, and has one run at a time store under a key.
// Each key has one slot, and takes it from the key that had it.
type latest struct {
	start  time.Time
	shards [keyShards]sync.Mutex // of the slots whose number has the shard's as its rest
	slots  []lastRun
	locks  keyLocks
}

// lastRun is when a run began and when it had stored its entry, since the start.
type lastRun struct {
	hash          uint64 // of the key
	began, stored time.Duration
}

// lateAfter is how long after its header came a response is stored late: then the store is asked
// whether a newer one is there, which another process may have stored, or this one before it
// forgot.
const lateAfter = time.Second

func (l *latest) init() { l.start, l.slots = time.Now(), make([]lastRun, passSlots) }

// putLatest stores an entry of a run that began at began, unless a later run has stored one under
// its key; or, where the run renews what was stored before, any other run has since. It reports
// whether that is so. primary is the key under which an index lists the entry, or the entry's own.
func (c *Cache) putLatest(
	ctx context.Context, e *store.Entry, primary string, began time.Time, renews bool,
) (outrun bool, err error) {
	lock, ok := c.latest.locks.lock(e.Key, c.options.StoreTimeout)
	if !ok {
		// the others that store under the key began no earlier, as far as anybody knows
		return true, nil
	}
	defer lock.unlock()
	if c.outrun(ctx, e, began, renews) {
		return true, nil
	}
	if err := c.put(ctx, e); err != nil {
		return false, err
	}
	stored := time.Now()
	c.latest.note(e.Key, began, stored)
	if primary != e.Key {
		c.latest.note(primary, began, stored)
	}
	return false, nil
}

// note remembers that a run that began at began has stored an entry under key.
func (l *latest) note(key string, began, stored time.Time) {
	hash := maphash.String(seed, key)
	last := lastRun{hash, began.Sub(l.start), stored.Sub(l.start)}
	at := hash % uint64(len(l.slots))
	l.shards[at%keyShards].Lock()
	l.slots[at] = last
	l.shards[at%keyShards].Unlock()
}

// later reports whether a run that began after t has stored under key, as far as is remembered, or,
// with orStored, whether any run has stored since t.
func (l *latest) later(key string, t time.Time, orStored bool) bool {
	hash := maphash.String(seed, key)
	at := hash % uint64(len(l.slots))
	l.shards[at%keyShards].Lock()
	last := l.slots[at]
	l.shards[at%keyShards].Unlock()
	since := t.Sub(l.start)
	return last.hash == hash && (last.began > since || orStored && last.stored > since)
}

func (c *Cache) outrun(ctx context.Context, e *store.Entry, began time.Time, renews bool) bool {
	if c.latest.later(e.Key, began, renews) {
		return true
	}
	if time.Since(e.Received) < lateAfter {
		return false
	}
	other, err := c.read(tier.SkipNear(ctx), e.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false
	case err != nil:
		return true // nobody can tell
	case rules.Ahead(other, time.Now()) > 0:
		return false // which is good for nothing
	case other.Variants != nil || renews:
		return other.Received.After(began)
	}
	return other.Requested.After(began)
}
