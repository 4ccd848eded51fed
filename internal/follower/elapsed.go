package follower

import (
	"sync/atomic"
	"time"
)

// elapsed measures the time since a start, and never goes back. On Linux the monotonic clock stands
// still while the machine sleeps or a virtual one is paused, and the journal may have moved on
// meanwhile. The wall clock goes on, and may be set back. So what the wall clock has been ahead of
// the monotonic one at most counts as time that has passed: also where somebody has set it ahead,
// which costs a question to the journal.
type elapsed struct {
	start time.Time
	slept atomic.Int64
}

func (e *elapsed) at(now time.Time) time.Duration {
	ran := now.Sub(e.start)
	ahead := int64(now.Round(0).Sub(e.start.Round(0)) - ran)
	for {
		slept := e.slept.Load()
		if ahead <= slept {
			return ran + time.Duration(slept)
		}
		if e.slept.CompareAndSwap(slept, ahead) {
			return ran + time.Duration(ahead)
		}
	}
}
