package middleware

import (
	"context"
	"errors"
	"hash/maphash"
	"time"

	"github.com/freshet-go/freshet/internal/lossy"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

// A run may be slow to store what it has: its store is slow, or its client takes what it is sent as
// slowly as it likes. Meanwhile another run of the key may begin, and store what is newer. What
// began earlier does not take its place.

// latest remembers of keys which run has stored last, and has one run at a time store under a key.
type latest struct {
	runs  lossy.Table[uint64, lastRun]
	locks keyLocks
}

type lastRun struct{ began, stored time.Time }

// lateAfter is how long after its header came a response is stored late: then the store is asked
// whether a newer one is there, which another process may have stored, or this one before it
// forgot.
const lateAfter = time.Second

func newLatest() latest { return latest{runs: lossy.New[uint64, lastRun](passSlots)} }

// putLatest stores an entry of a run that began at began, unless a later run has stored one under
// its key; or, where the run renews what was stored before, any other run has since. It reports
// whether that is so. primary is the key under which an index lists the entry, or the entry's own.
func (c *Cache) putLatest(
	e *store.Entry, primary string, began time.Time, renews bool,
) (outrun bool, err error) {
	unlock := c.latest.locks.lock(e.Key, c.options.StoreTimeout)
	if unlock == nil {
		// the others that store under the key began no earlier, as far as anybody knows
		return true, nil
	}
	defer unlock()
	if c.outrun(e, began, renews) {
		return true, nil
	}
	if err := c.put(e); err != nil {
		return false, err
	}
	last := lastRun{began, time.Now()}
	for _, key := range [...]string{e.Key, primary} {
		hash := maphash.String(seed, key)
		c.latest.runs.Put(hash, hash, last)
	}
	return false, nil
}

func (c *Cache) outrun(e *store.Entry, began time.Time, renews bool) bool {
	hash := maphash.String(seed, e.Key)
	last, known := c.latest.runs.Find(hash, hash)
	if known && (last.began.After(began) || renews && last.stored.After(began)) {
		return true
	}
	if time.Since(e.Received) < lateAfter {
		return false
	}
	other, err := c.read(tier.SkipNear(context.Background()), e.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false
	case err != nil:
		return true // nobody can tell
	case other.Variants != nil || renews:
		return other.Received.After(began)
	}
	return other.Requested.After(began)
}
