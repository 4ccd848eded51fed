package follower

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
)

// leaseSafe is how long after a renewal began a member still uses what is stored: two seconds less
// than the lease, since others may see its age a second too great, and a request takes time.
const leaseSafe = store.LeaseTime - 2*time.Second

// touch is until when what a follower knows can be trusted. All times count from its start.
type touch struct {
	maxLag time.Duration
	// until when; 0: it cannot be. It follows from what is below, and may be read without mu.
	until atomic.Int64
	heard atomic.Int64 // when the journal was asked what it answered last; 0: it never did

	mu     sync.Mutex
	leases bool          // it must be a member
	lease  time.Duration // when its last renewal began; 0: there was none
	out    bool          // it must ask the journal first
	left   bool          // for good
	behind uint64        // a number that is known to be given out and is not applied; 0: none
	since  time.Duration // ... since when
	late   atomic.Bool   // behind is not 0
}

// settle sets until. mu is held.
func (t *touch) settle() {
	heard := time.Duration(t.heard.Load())
	until := after(heard, t.maxLag)
	if t.leases {
		until = min(until, after(t.lease, leaseSafe))
	}
	if t.behind > 0 {
		until = min(until, after(t.since, t.maxLag))
	}
	if t.out || t.left || heard == 0 || t.leases && t.lease == 0 {
		until = 0
	}
	t.until.Store(int64(until))
}

func after(at, d time.Duration) time.Duration {
	if d > math.MaxInt64-at {
		return math.MaxInt64
	}
	return at + d
}

// answered notes that the journal has answered what it was asked at a time, and that all of the
// answer has been applied.
func (t *touch) answered(asked time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard.Store(int64(max(asked, 1)))
	t.out = false
	t.settle()
}

// renewed notes that a renewal succeeded that began at a time.
func (t *touch) renewed(began time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lease = max(t.lease, began, 1)
	t.settle()
}

// leased reports whether others still count the member in, at now.
func (t *touch) leased(now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.leases || t.lease > 0 && now <= after(t.lease, leaseSafe)
}

// holds reports whether there is a lease that goes on at now.
func (t *touch) holds(now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lease > 0 && now <= after(t.lease, leaseSafe)
}

// mustLease has the follower be a member, or not.
func (t *touch) mustLease(must bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leases = must
	t.settle()
}

// cutOff reports whether the journal has not answered for too long at now, or the lease has ended.
func (t *touch) cutOff(now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	heard := time.Duration(t.heard.Load())
	return t.out || heard == 0 || now > after(heard, t.maxLag) ||
		t.leases && (t.lease == 0 || now > after(t.lease, leaseSafe))
}

// ranOut reports whether at now trust has ended for want of an answer, and the question that is
// answered now was asked before: nobody has begun to doubt what is stored.
func (t *touch) ranOut(now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	heard := time.Duration(t.heard.Load())
	return !t.out && heard > 0 && now > after(heard, t.maxLag)
}

// lastLease describes how long ago the last renewal began.
func (t *touch) lastLease(now time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lease == 0 {
		return "never"
	}
	return (now - t.lease).Round(time.Second).String() + " ago"
}

// goOut ends all trust until the journal has answered again.
func (t *touch) goOut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = true
	t.settle()
}

// leave ends all trust for good.
func (t *touch) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = true
	t.settle()
}

func (t *touch) hasLeft() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left
}

// knows notes how far what is known to be given out is ahead of what is applied. What is behind for
// longer than maxLag is not trusted, whether or not the journal answers.
func (t *touch) knows(known uint64, applied func() uint64, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.late.Store(true) // before the look, so that who applies more looks here
	switch seen := applied(); {
	case seen >= known:
		t.behind = 0
		t.late.Store(false)
	case t.behind == 0 || seen >= t.behind:
		t.behind, t.since = known, max(now, 1)
	default:
		t.behind = min(t.behind, known)
	}
	t.settle()
}

// lateness returns since when a known mark has not been applied; 0: all have.
func (t *touch) lateness() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.behind == 0 {
		return 0
	}
	return t.since
}

// now is the time since the start.
func (f *Follower) now() time.Duration { return f.time.at(time.Now()) }

// InTouch reports whether the replica can be trusted at now: the journal has answered within
// MaxLag, every mark that is known to be there has been applied within MaxLag, and where the
// journal keeps a list of its members, the follower's lease has not ended. It costs an atomic load.
func (f *Follower) InTouch(now time.Time) bool {
	if !f.Shared() {
		return true
	}
	until := f.touch.until.Load()
	return until > 0 && f.time.at(now) <= time.Duration(until)
}

// known returns the greatest number that the journal is known to have given out.
func (f *Follower) known() uint64 { return max(f.Head(), f.claimed.Load()) }

// measure notes how far the replica is behind what is known.
func (f *Follower) measure() { f.touch.knows(f.known(), f.seen.Load, f.now()) }
