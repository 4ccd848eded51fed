package memstore

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// engine keeps values under keys until they end, within a bound in bytes: what Store and Backend
// share.
type engine[V any] struct {
	cache  *otter.Cache[string, item[V]]
	clock  *clock
	reads  reads
	bound  int64
	limit  int64        // largest size of one value
	weight atomic.Int64 // what all values take
	closed atomic.Bool

	// how many entries made room, and were removed when their time was over
	evicted, expired atomic.Int64
	// how many entries Sweep removed, and what they took
	reclaimed, reclaimedBytes atomic.Int64
}

// item is a value with the time, by the engine's clock, when it ends. It lies in the cache's node,
// so that reading it fetches nothing more from memory.
type item[V any] struct {
	value    V
	deadline int64
	weight   uint32
	id       uint32 // tells it from others in reads
}

// lifetime is what is left at now: never 0 or less, which otter reads as "never ends", even if a
// tick has come between our reading of the clock and otter's.
func (it item[V]) lifetime(now int64) time.Duration {
	return time.Duration(max(it.deadline-now, 1))
}

// newEngine returns an engine whose values take so many bytes at most, and one of them limit. gone,
// or nil, hears of each value that it has no more.
func newEngine[V any](bound, limit int64, c *clock, gone func(item[V])) *engine[V] {
	e := &engine[V]{clock: c, bound: bound, limit: min(limit, math.MaxUint32)}
	e.cache = otter.Must(&otter.Options[string, item[V]]{
		MaximumWeight: uint64(bound),
		Weigher:       func(_ string, it item[V]) uint32 { return it.weight },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string,
			item[V]]) time.Duration {
			return e.Value.lifetime(e.SnapshotAtNano)
		}),
		// Upkeep runs where it falls due, for a microsecond now and then: cheaper than a goroutine,
		// and what bytes tells is settled when set returns.
		Executor: func(task func()) { task() },
		Clock:    e.clock,
		OnDeletion: func(d otter.DeletionEvent[string, item[V]]) {
			switch d.Cause {
			case otter.CauseOverflow:
				e.evicted.Add(1)
			case otter.CauseExpiration:
				e.expired.Add(1)
			}
			e.weight.Add(-int64(d.Value.weight))
			if gone != nil {
				gone(d.Value)
			}
		},
	})
	return e
}

func (e *engine[V]) get(key string) (it item[V], ok bool) {
	_, it, ok = e.find(key)
	return it, ok
}

// find is get, which returns the key as it is kept as well.
func (e *engine[V]) find(key string) (kept string, it item[V], ok bool) {
	found, ok := e.cache.GetEntryQuietly(key)
	if !ok || e.clock.passed(found.Value.deadline) {
		return "", it, false
	}
	if e.reads.counts(found.Value.id, e.clock.NowNano()) {
		e.cache.GetIfPresent(key) // so that the eviction hears of it
	}
	return found.Key, found.Value, true
}

// set keeps a value of so many bytes for ttl, which is more than 0, unless it is too great or the
// engine is closed: then nothing is kept under the key.
func (e *engine[V]) set(key string, value V, size int64, ttl time.Duration) {
	if size > e.limit || e.closed.Load() {
		e.cache.Invalidate(key)
		return
	}
	e.weight.Add(size)
	e.cache.Set(key, item[V]{value: value, deadline: e.clock.deadline(ttl), weight: uint32(size),
		id: e.reads.id()})
	if e.closed.Load() {
		e.cache.InvalidateAll()
	}
}

// expire gives the value under the key another lifetime, of more than 0.
func (e *engine[V]) expire(key string, ttl time.Duration) (existed bool) {
	e.cache.ComputeIfPresent(key, func(old item[V]) (item[V], otter.ComputeOp) {
		if existed = !e.clock.passed(old.deadline); !existed {
			return old, otter.InvalidateOp
		}
		old.deadline = e.clock.deadline(ttl)
		e.weight.Add(int64(old.weight)) // the old one goes
		return old, otter.WriteOp
	})
	return existed
}

func (e *engine[V]) delete(key string) (existed bool) {
	it, ok := e.cache.Invalidate(key)
	return ok && !e.clock.passed(it.deadline)
}

// left returns what is left of the item's lifetime, in nanoseconds.
func (e *engine[V]) left(it item[V]) time.Duration {
	return time.Duration(it.deadline - e.clock.precise())
}

func (e *engine[V]) len() int {
	e.cache.CleanUp()
	return e.cache.EstimatedSize()
}

func (e *engine[V]) bytes() int64 {
	e.cache.CleanUp()
	return int64(e.cache.WeightedSize())
}

func (e *engine[V]) close() {
	e.closed.Store(true)
	e.cache.InvalidateAll()
	e.cache.StopAllGoroutines()
	e.clock.Close()
}
