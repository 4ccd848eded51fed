package guardstore

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// outage is the time in which the server does not answer the store, its journal, or both. The log
// hears when it begins and when it ends.
type outage struct {
	parts atomic.Uint32 // of what does not answer
	mu    sync.Mutex    // of changes
	began time.Time

	lost atomic.Pointer[time.Time] // since when the journal fails; nil: it answers
}

const (
	theStore   = 1 << iota // its breaker is not closed
	theJournal             // its last call failed
)

func (n *news) fails(part uint32, f *failure, at time.Time) {
	o := &n.outage
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.parts.Load()
	o.parts.Store(before | part)
	if before == 0 {
		o.began = at
		n.log(slog.LevelError, "is unavailable: requests do without it", f)
	}
}

func (n *news) answers(part uint32, at time.Time) {
	o := &n.outage
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.parts.Load()
	o.parts.Store(before &^ part)
	if before == part {
		n.log(slog.LevelInfo, "is available again", nil, "after", at.Sub(o.began))
	}
}

// note notes for the stats how a call of the journal ended, also where the server refused it.
func (o *outage) note(err error) {
	switch lost := o.lost.Load(); {
	case err == nil && lost != nil:
		o.lost.Store(nil)
	case err != nil && lost == nil:
		now := time.Now()
		o.lost.CompareAndSwap(nil, &now)
	}
}

// journalLost returns since when the journal fails; zero: it answers.
func (o *outage) journalLost() time.Time {
	if lost := o.lost.Load(); lost != nil {
		return *lost
	}
	return time.Time{}
}

func (n *news) journalFails(f *failure) {
	n.failing.Store(nil) // what failed before was the beginning of this
	if n.outage.parts.Load()&theJournal == 0 {
		n.fails(theJournal, f, time.Now())
	}
}

func (n *news) journalAnswers() {
	if n.outage.parts.Load()&theJournal != 0 {
		n.failing.Store(nil)
		n.answers(theJournal, time.Now())
	}
}
