package guardstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// State is a breaker's state.
type State uint8

const (
	StateClosed State = iota // calls go through
	StateOpen                // calls fail at once
	// as StateOpen, except for a probe that finds out whether the server is back
	StateHalfOpen
)

func (s State) String() string {
	switch s {
	case StateOpen:
		return "open"
	case StateHalfOpen:
		return "half-open"
	}
	return "closed"
}

// breaker is gobreaker's machine behind a gate. The machine's pause is always the same; the gate
// makes it longer each time that a probe fails, and costs an open breaker's callers no lock.
type breaker struct {
	machine *gobreaker.CircuitBreaker[struct{}]
	options *Options
	news    *news

	start time.Time
	until atomic.Int64 // when the next probe may go through, in nanoseconds since start; 0: closed
	state atomic.Uint32
	// troubled says that the last call the machine heard of failed. Without trouble, successes
	// change nothing about it, and go past its lock; ask loads it once more when a call has ended,
	// for what failed meanwhile.
	troubled atomic.Bool
	turns    atomic.Uint64           // how often the machine's state has changed
	why      atomic.Pointer[failure] // the error for callers of an open breaker

	// Touched in the machine's callbacks alone, which hold its lock. There troubled is set, too.
	failing *failure
	pause   time.Duration
}

func newBreaker(o *Options, n *news) *breaker {
	b := &breaker{options: o, news: n, start: time.Now()}
	b.machine = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        o.Name,
		MaxRequests: uint32(o.Successes),
		Timeout:     o.Retry,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= uint32(o.Failures)
		},
		IsExcluded: func(err error) bool {
			f, _ := err.(*failure)
			return f != nil && f.harmless
		},
		IsSuccessful:  b.successful,
		OnStateChange: b.changed,
	})
	return b
}

var errProbed = errors.New("another operation is finding out whether it is well again")

// ask lets do run, which says how it went, or returns why it may not.
func (b *breaker) ask(do func() *failure) (refused *failure) {
	if until := b.until.Load(); until != 0 && int64(time.Since(b.start)) < until {
		return b.refusal()
	}
	if b.state.Load() == uint32(StateClosed) && !b.troubled.Load() {
		turn := b.turns.Load()
		if f := do(); f == nil && b.troubled.Load() || f != nil && !f.harmless {
			b.tell(f, turn)
		}
		return nil
	}
	ran := false
	b.machine.Execute(func() (struct{}, error) {
		ran = true
		// What gets through while it is open is a probe.
		if b.state.Load() == uint32(StateOpen) && b.state.CompareAndSwap(uint32(StateOpen),
			uint32(StateHalfOpen)) {
			b.news.add(change{to: StateHalfOpen})
		}
		if f := do(); f != nil {
			return struct{}{}, f
		}
		return struct{}{}, nil
	})
	if !ran {
		return b.refusal()
	}
	return nil
}

// tell makes the machine count a failure, or a success if f is nil, unless its state has changed
// since the call began: then it says nothing of the state that it is in now.
func (b *breaker) tell(f *failure, turn uint64) {
	b.machine.Execute(func() (struct{}, error) {
		switch {
		case b.turns.Load() != turn:
			return struct{}{}, &failure{harmless: true}
		case f != nil:
			return struct{}{}, f
		}
		return struct{}{}, nil
	})
}

// refusal returns why the breaker did not ask.
func (b *breaker) refusal() *failure {
	if why := b.why.Load(); why != nil {
		return why
	}
	return &failure{err: errProbed} // closed a moment ago
}

// successful also remembers what failed for changed, which is called next if this opens the
// breaker.
func (b *breaker) successful(err error) bool {
	b.troubled.Store(err != nil)
	if err == nil {
		return true
	}
	b.failing, _ = err.(*failure)
	return false
}

// changed follows the machine. It ignores when that becomes half-open, which any call that began
// before the breaker opened makes it by ending, whatever the gate says.
func (b *breaker) changed(_ string, from, to gobreaker.State) {
	b.turns.Add(1)
	switch to {
	case gobreaker.StateOpen:
		if from == gobreaker.StateClosed {
			b.pause = b.options.Retry
		} else {
			b.pause = min(2*b.pause, b.options.MaxRetry)
		}
		wait := b.pause + 1 + rand.N(b.pause/4+1) // longer than the machine's
		b.why.Store(&failure{kind: b.failing.kind,
			err: fmt.Errorf("not asked, because it failed: %w", b.failing.err)})
		b.until.Store(int64(time.Since(b.start) + wait))
		b.state.Store(uint32(StateOpen))
		b.news.failing.Store(nil)
		b.news.add(change{to: StateOpen, again: from != gobreaker.StateClosed, why: b.failing,
			retry: wait})
	case gobreaker.StateClosed:
		b.until.Store(0)
		b.state.Store(uint32(StateClosed))
		b.why.Store(nil)
		b.news.add(change{to: StateClosed})
	}
}
