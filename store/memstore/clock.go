package memstore

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// tick is how often the clock looks, and near is how close to its end an entry must be for passed
// to look again: several ticks, for a machine too busy to tick in time.
const (
	tick = time.Second
	near = 5 * time.Second
)

// clock tells the time in nanoseconds since it was made. Reading the time is a third of the cost of
// a Get, so a Get reads only the last tick's, and the precise time when the entry is near its end.
// An entry therefore ends on time, unless the ticks come five seconds late.
type clock struct {
	start time.Time
	now   atomic.Int64 // at the last tick

	stop, stopped chan struct{}
	stopOnce      sync.Once

	virtual func() time.Time // nil: the time is the machine's
}

func newClock() *clock {
	c := &clock{start: time.Now(), stop: make(chan struct{}), stopped: make(chan struct{})}
	// The goroutine holds the clock weakly, so that one that nobody uses any more is not kept
	// ticking.
	go keepTime(weak.Make(c), c.stop, c.stopped)
	return c
}

// newVirtualClock returns a clock whose time is what now returns. It has no goroutine, and ticks
// never.
func newVirtualClock(now func() time.Time) *clock {
	c := &clock{start: now(), stop: make(chan struct{}), stopped: make(chan struct{}), virtual: now}
	close(c.stopped)
	return c
}

func keepTime(held weak.Pointer[clock], stop <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		c := held.Value()
		if c == nil {
			return
		}
		c.now.Store(c.precise())
	}
}

func (c *clock) precise() int64 {
	if c.virtual != nil {
		return int64(c.virtual().Sub(c.start))
	}
	return int64(time.Since(c.start))
}

// NowNano is the time that the engine goes by: the last tick's, so that it ends no entry early.
func (c *clock) NowNano() int64 {
	if c.virtual != nil {
		return c.precise()
	}
	return c.now.Load()
}

// Tick paces the engine's removal of what has ended. Virtual time has no pace: what has ended goes
// at the next write.
func (c *clock) Tick(d time.Duration) <-chan time.Time {
	if c.virtual != nil {
		return nil
	}
	return time.Tick(d)
}

// deadline is the time after ttl.
func (c *clock) deadline(ttl time.Duration) int64 {
	now := c.precise()
	if int64(ttl) > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + int64(ttl)
}

// passed reports whether the time has come.
func (c *clock) passed(deadline int64) bool {
	now := c.NowNano()
	if deadline-now > int64(near) {
		return false
	}
	return deadline <= c.precise()
}

// Close ends the ticking. A closed clock stands still, except for deadlines that are near.
func (c *clock) Close() {
	c.stopOnce.Do(func() { close(c.stop) })
	<-c.stopped
}
