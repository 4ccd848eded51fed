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
