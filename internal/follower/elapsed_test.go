package follower

import (
	"testing"
	"time"
	"unsafe"

	"github.com/freshet-go/freshet/internal/memjournal"
)

// asleep returns a time whose monotonic reading lacks what the machine slept.
func asleep(t time.Time, slept time.Duration) time.Time {
	t = t.Add(slept)
	(*struct {
		wall uint64
		ext  int64
	})(unsafe.Pointer(&t)).ext -= int64(slept)
	return t
}

// A machine that has slept for an hour has not heard the journal for an hour, though its monotonic
// clock has not moved, and setting the wall clock back does not take that away.
func TestAMachineThatHasSlept(t *testing.T) {
	now := time.Now()
	if later := asleep(now, time.Hour); later.Sub(now) != 0 || later.Round(0).Sub(now.Round(0)) != time.Hour {
		t.Fatalf("the clocks are apart by %v and %v", later.Sub(now), later.Round(0).Sub(now.Round(0)))
	}
	f := New(Options{Journal: memjournal.New(), MaxLag: 5 * time.Second})
	start := f.time.start
	f.touch.until.Store(int64(5 * time.Second))
	for _, c := range []struct {
		now     time.Time
		want    time.Duration
		inTouch bool
	}{
		{start.Add(time.Second), time.Second, true},
		{asleep(start.Add(2*time.Second), time.Hour), time.Hour + 2*time.Second, false},
		{start.Add(3 * time.Second), time.Hour + 3*time.Second, false}, // set back again
		{asleep(start.Add(4*time.Second), -time.Hour), time.Hour + 4*time.Second, false},
	} {
		if in := f.InTouch(c.now); in != c.inTouch {
			t.Errorf("%v after the start: in touch: %t", c.want, in)
		}
		if got := f.time.at(c.now); got != c.want {
			t.Errorf("%v after the start; want %v", got, c.want)
		}
	}
}
