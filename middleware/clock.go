package middleware

import (
	"sync/atomic"
	"time"
)

// clock tells the time at half of what time.Now costs: it asks the system for the monotonic time, and once a second for
// the wall's as well. A wall clock that was set is noticed within a second.
type clock struct{ read atomic.Pointer[time.Time] }

func (c *clock) now() time.Time {
	if last := c.read.Load(); last != nil {
		if since := time.Since(*last); since >= 0 && since < time.Second {
			return last.Add(since)
		}
	}
	now := time.Now()
	c.read.Store(&now)
	return now
}
