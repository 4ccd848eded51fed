package guardstore

import (
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// Stats are a Store's counts since it was made.
type Stats struct {
	State State
	// Calls is how many operations reached the inner store; Failures, how many of them failed, by
	// kind. A store.KindTimeout may be an answer that came too late and was used all the same.
	Calls    uint64
	Failures map[store.ErrorKind]uint64
	// What did not reach the inner store: operations refused by an open or half-open breaker, and
	// those beyond MaxWaiting.
	Rejected, Crowded uint64
	// Left is how many operations were given up by their callers, before or while they were made.
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

// State is the breaker's state. An open one stays so until an operation after its time probes the
// inner store.
func (s *Store) State() State { return State(s.breaker.state.Load()) }
