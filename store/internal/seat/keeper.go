package seat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Servers are those that have the copies, and one of them the journal. Implementations are safe for
// concurrent use, and bound the time of each call.
type Servers interface {
	// Addresses returns the servers' addresses.
	Addresses() []string
	// Ask asks a server for its copy, and for the head of the journal at a seat, if that is on this
	// server.
	Ask(ctx context.Context, server string, at Seat) Answer
	// Put writes a copy of s in place of what a server has answered. It reports false if something
	// else is there by now.
	Put(ctx context.Context, was Answer, s Seat) (bool, error)
	// Begin makes the journal of a seat on its server.
	Begin(ctx context.Context, s Seat) error
}

const (
	// writeWithin is how old what was read may be when something is written for it: a process that
	// was stopped in between writes nothing.
	writeWithin = time.Second
	// leastTime is how long a server must have had to answer before its silence means anything.
	leastTime = 25 * time.Millisecond
	// findWithin is how long Find waits for the servers to agree.
	findWithin = 3 * time.Second
	// doubts is how often a state that may pass must have been seen before the journal moves.
	doubts = 3
)

// Keeper finds a journal's seat, and moves the journal when its server is gone. It is safe for
// concurrent use.
type Keeper struct {
	servers Servers
	done    context.Context // ends what is done behind calls
	moving  chan struct{}   // has something while a move is made

	mu        sync.Mutex
	seat      Seat // the latest that was agreed on, as far as this process knows
	known     uint64
	contested bool                // a late answer named a later seat
	repairing map[string]struct{} // servers whose copy is written
	doubt     doubt
	pace      pace
}

// doubt is since when the journal could not be used where it is.
type doubt struct {
	since time.Time
	times int // that this was seen; 0: there is no doubt
}

// New returns a Keeper that knows nothing yet. When done is done, it does nothing more.
func New(done context.Context, s Servers) *Keeper {
	return &Keeper{servers: s, done: done, moving: make(chan struct{}, 1),
		repairing: make(map[string]struct{})}
}

// Seat returns the latest seat that was agreed on as far as this process knows; zero: none.
func (k *Keeper) Seat() Seat {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seat
}

// Saw notes a number of the journal's: the next seat's is above it.
func (k *Keeper) Saw(number uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if number < MaxNumber {
		k.known = max(k.known, number)
	}
}

// Error says why no seat is agreed on, or its journal cannot be used.
type Error struct {
	Heard, Servers int   // how many have answered, of how many
	Cause          error // of a server; or nil
	state          state
}

func (e *Error) Error() string {
	if e.state == restless {
		return e.state.String()
	}
	text := fmt.Sprintf("%v: %d of %d answer", e.state, e.Heard, e.Servers)
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", text, e.Cause)
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

// Foreign reports whether nothing but another program or a person will change that.
func (e *Error) Foreign() bool { return e.state == foreign }

func (v *view) fail(s state, at Seat) *Error {
	e := &Error{Heard: v.heard(), Servers: v.servers, state: s}
	for _, a := range v.answers {
		if a.Err != nil && (e.Cause == nil || a.Server == at.Server) {
			e.Cause = a.Err
		}
	}
	return e
}

// Find returns the seat that more than half of the copies name, and its journal's head; all were
// read after the call. It moves the journal if that is due, and waits for ctx where the servers are
// about to agree.
func (k *Keeper) Find(ctx context.Context) (Seat, Head, error) {
	came := time.Now()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if err := k.afterMove(ctx); err != nil {
			return Seat{}, Head{}, err
		}
		believed := k.Seat()
		v := k.ask(ctx, believed, (*view).settled)
		if err := context.Cause(ctx); err == context.Canceled {
			return Seat{}, Head{}, err
		}
		s, at := v.judge(believed)
		switch s {
		case newer:
			k.adopt(at)
			pause = time.Millisecond
			continue
		case here:
			k.well()
			a, _ := v.of(at.Server)
			return at, *a.Head, nil
		}
		if k.due(v, s) {
			k.move(s)
			continue
		}
		passes := (s == split || s == empty || s == lost) && time.Since(came) < findWithin
		if !passes || !wait(ctx, pause) {
			return Seat{}, Head{}, v.fail(s, believed)
		}
	}
}

// wait waits for up to twice a pause, and reports false if ctx ends before.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause + rand.N(pause))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// moves is how often a call follows the journal.
const moves = 5

// Write calls f with the seat, and again where the journal moves meanwhile. When it returns nil, f
// has, and the seat that f had was still agreed on afterwards.
func (k *Keeper) Write(ctx context.Context, f func(Seat) error) error {
	at := k.Seat()
	for range moves {
		if (at == Seat{}) {
			found, _, err := k.Find(ctx)
			if err != nil {
				return err
			}
			at = found
		}
		if err := f(at); err != nil {
			now, _, failed := k.Find(ctx)
			if failed != nil || now == at {
				return err
			}
			at = now
			continue
		}
		switch holds, err := k.holds(ctx, at); {
		case err != nil:
			return err
		case holds:
			return nil
		}
		at = k.Seat()
	}
	return &Error{state: restless}
}

// holds reports whether more than half of the copies, each read after the call, name a seat: what
// was written there before counts.
func (k *Keeper) holds(ctx context.Context, at Seat) (bool, error) {
	v := k.ask(ctx, at, func(v *view, _ Seat) bool {
		s, ok := v.agreed()
		return v.whole() || ok && !at.later(s)
	})
	s, ok := v.agreed()
	switch {
	case ok && s == at:
		return true, nil
	case ok && s.later(at):
		k.adopt(s)
		return false, nil
	}
	why, _ := v.judge(at)
	return false, v.fail(why, at)
}

// adopt has the process believe in a seat that was agreed on, unless it knows a later one.
func (k *Keeper) adopt(s Seat) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.later(k.seat) {
		k.seat, k.contested, k.doubt = s, false, doubt{}
	}
}

// well notes that the journal can be used.
func (k *Keeper) well() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.contested, k.doubt = false, doubt{}
}

// due notes a state in which the journal cannot be used, and reports whether it is time to move.
func (k *Keeper) due(v *view, s state) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	patience, ever := v.patience(s)
	if !ever {
		return false
	}
	now := time.Now()
	if k.doubt.times == 0 {
		k.doubt.since = now
	}
	k.doubt.times++
	long := now.Sub(k.doubt.since) >= patience && k.doubt.times >= doubts
	return (patience == 0 || long) && k.pace.allows(now)
}
