package follower

import "time"

// Status is what a Follower knows of its journal at one moment.
type Status struct {
	Shared  bool   // other processes append to the journal
	InTouch bool   // it has answered within MaxLag
	Number  uint64 // the newest number that is known
	// since the journal answered; 0 without one; negative: it has never answered
	Lag    time.Duration
	MaxLag time.Duration // the Lag beyond which it is out of touch; 0 without a shared journal
	Unsent int           // marks that it has not taken yet
}

// Status returns what is known of the journal at now.
func (f *Follower) Status(now time.Time) Status {
	s := Status{Shared: f.Shared(), InTouch: f.InTouch(now), Number: f.Head(),
		Unsent: f.unsent.len()}
	if s.Shared {
		s.MaxLag = f.MaxLag
	}
	switch heard := f.heard.Load(); {
	case !s.Shared:
	case heard == 0:
		s.Lag = -1
	default:
		s.Lag = max(now.Sub(f.start)-time.Duration(heard), 0)
	}
	return s
}

// len returns how many marks there are.
func (u *unsent) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.marks)
}
