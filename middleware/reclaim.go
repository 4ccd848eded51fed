package middleware

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// What an invalidation covers is of no use to anybody, and yet it takes room until somebody asks for
// it. A sweep removes it in the background: after a while, so that many invalidations cost one
// sweep.

const (
	// reclaimAfter is how long after an invalidation the sweep begins.
	reclaimAfter = 15 * time.Second
	// reclaimShare is which part of the time a sweep works at most: the eighth.
	reclaimShare = 8
	// reclaimLease bounds how long the sweep of a process that has died keeps others from sweeping
	// what they share.
	reclaimLease = 2 * time.Minute
)

// reclaimer removes what invalidations cover.
type reclaimer struct {
	c     *Cache
	store store.Sweeper
	due   atomic.Bool // a sweep will begin
}

// init has sweeps follow the marks, if the store can be swept.
func (r *reclaimer) init(c *Cache) {
	sweeper, ok := store.As[store.Sweeper](c.store)
	if !ok {
		return
	}
	r.c, r.store = c, sweeper
}

// marked has a sweep begin in a while, unless one will.
func (r *reclaimer) marked() {
	if r.store != nil && !r.due.Load() && r.due.CompareAndSwap(false, true) {
		time.AfterFunc(reclaimAfter, r.begin)
	}
}

func (r *reclaimer) begin() {
	c := r.c
	c.closing.Lock()
	if c.stop.Err() != nil {
		c.closing.Unlock()
		return
	}
	c.background.Add(1)
	c.closing.Unlock()
	defer c.background.Done()
	r.due.Store(false) // what comes now may cover what the sweep has passed
	r.sweep(c.stop)
}

// sweep removes what marks cover hard. It goes by the journal's marks alone: what covers for a while
// only, in this process only, is for others to use.
func (r *reclaimer) sweep(ctx context.Context) {
	var lease store.Lease
	defer func() {
		if lease != nil {
			// the context may be done
			bounded, cancel := context.WithTimeout(context.Background(), r.c.options.StoreTimeout)
			defer cancel()
			lease.Unlock(bounded)
		}
	}()
	pace := pacer{worked: time.Now()}
	replica := r.c.journal.Replica()
	swept, err := r.store.Sweep(ctx, store.Sweep{
		Dead: func(e *store.Entry) bool { return replica.Covers(e) == invalidation.CoverageHard },
		Shared: func(ctx context.Context) (mine bool) {
			lease, mine = r.lease(ctx)
			return mine
		},
		Rest: pace.rest,
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable) {
		r.c.options.Log.Warn("freshet: what invalidations cover could not all be removed from the "+
			"store: the rest stays until it ends", "error", err, "removed", swept.Removed)
	}
}

// lease returns whether this process may sweep what it shares with others: one at a time does, and
// none that only reads.
func (r *reclaimer) lease(ctx context.Context) (lease store.Lease, mine bool) {
	if r.c.options.ReadOnly {
		return nil, false
	}
	locker, ok := store.As[store.Locker](r.c.store)
	if !ok {
		return nil, true
	}
	bounded, cancel := context.WithTimeout(ctx, r.c.options.StoreTimeout)
	defer cancel()
	lease, mine, err := locker.TryLock(bounded, "freshet-reclaim", reclaimLease)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, true
	}
	return lease, mine && err == nil
}

// pacer has work take its share of the time.
type pacer struct{ worked time.Time }

// rest sleeps as long as the work since the last rest asks for, or until ctx is done.
func (p *pacer) rest(ctx context.Context) error {
	t := time.NewTimer(time.Since(p.worked) * (reclaimShare - 1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.worked = time.Now()
	return nil
}

// deadBytes estimates how much of the memory's bytes invalidations cover, from a sample; -1 if
// nothing is known.
func (c *Cache) deadBytes(bytes int64) int64 {
	sampler, ok := store.As[store.Sampler](c.store)
	if !ok || bytes < 0 {
		return -1
	}
	var dead, all int64
	sampler.Sample(sampleSize, func(e *store.Entry) {
		size := e.Size()
		all += size
		if c.journal.Replica().Covers(e) == invalidation.CoverageHard {
			dead += size
		}
	})
	if all == 0 {
		return 0
	}
	return int64(float64(bytes) * float64(dead) / float64(all))
}

const sampleSize = 256
