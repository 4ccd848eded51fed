package guardstore

import (
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// Stats are the counts of a Store since New.
type Stats struct {
	State State
	// Calls is the number of operations that reached the inner store; Failures, of those that
	// failed, by kind. A store.KindTimeout may be an answer that came too late and that the Store
	// used all the same.
	Calls    uint64
	Failures map[store.ErrorKind]uint64
	// Rejected and Crowded are the numbers of operations that did not reach the inner store: those
	// that an open or half-open breaker refused, and those beyond MaxWaiting.
	Rejected, Crowded uint64
	// Left is the number of operations whose callers gave them up, before or during the call.
	Left uint64
}

type counts struct {
	calls, rejected, crowded, left atomic.Uint64
	failures                       [kinds]atomic.Uint64
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	st := Stats{
		State:    s.State(),
		Calls:    s.counts.calls.Load(),
		Failures: make(map[store.ErrorKind]uint64),
		Rejected: s.counts.rejected.Load(),
		Crowded:  s.counts.crowded.Load(),
		Left:     s.counts.left.Load(),
	}
	for kind := range s.counts.failures {
		if n := s.counts.failures[kind].Load(); n > 0 {
			st.Failures[store.ErrorKind(kind)] = n
		}
	}
	return st
}

// TierStats implements [store.Measured], under the name of Options.Name.
func (s *Store) TierStats() []store.TierStats {
	t := store.NewTierStats(s.options.Name)
	if inner := store.TierStatsOf(s.inner); len(inner) > 0 {
		t = inner[0]
		if s.options.Name != defaultName {
			t.Name = s.options.Name
		}
	}
	if e, ok := store.As[store.Encrypted](s.inner); ok {
		t.EncryptionFaults = e.EncryptionFaults()
	}
	t.Calls, t.Failed = int64(s.counts.calls.Load()), 0
	for kind := range s.counts.failures {
		t.Failed += int64(s.counts.failures[kind].Load())
	}
	t.Rejected = int64(s.counts.rejected.Load() + s.counts.crowded.Load())
	t.Breaker, t.JournalLost = s.State().String(), s.news.outage.journalLost()
	return []store.TierStats{t}
}

// State returns the breaker's state. An open one stays open until an operation after its time
// probes the inner store.
func (s *Store) State() State { return State(s.breaker.state.Load()) }
