// Package fill is one run of a handler that many clients read: what has become of it, its body as
// it comes, the clients that read along, and the bounds of what all of them hold in memory. It
// knows no cache: who may read along with a run, and what is stored of it, others decide. This file
// has the stages, body.go the writer's side, readers.go the readers', group.go the keys and the
// budget, and pins.go what counts of bodies that the store has dropped.
package fill

import (
	"context"
	"sync"
	"time"
	"weak"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Stage tells what is known of a fill's response. It changes once, from StageAsked to one of the
// others.
type Stage uint8

// The stages.
const (
	StageAsked   Stage = iota // the handler has not answered yet
	StageFlowing              // the response may be shared: readers get the body as it comes
	// the answer is a whole entry: a revalidated one, or a stale one in the place of an error
	StageSettled
	StagePrivate // the response is for the leader alone: everyone else runs the handler
	StageFailed  // there is no response: everyone else runs the handler
)

// Answer is a stage with what it is about.
type Answer struct {
	Stage Stage
	Entry *store.Entry  // StageFlowing: all but the body; StageSettled: all of it; or nil
	Why   policy.Reason // why the response is not for others
}

// Start is what a fill knows when its handler begins.
type Start struct {
	URI    string   // of the request, for invalidations that come while the handler runs
	Tags   []string // ... those that the key itself has
	Number uint64   // up to which all of the journal's marks were known
	Held   uint64   // how many marks had been held that the journal had not taken
	Time   time.Time
	Limit  int64 // the longest body that may be stored, in bytes
}

// Fill is one run of a handler, and what its readers read. The leader's goroutine runs the handler
// and writes; readers come and go, each with a place of its own in the body, and wait for nothing
// but new bytes. It is safe for concurrent use.
type Fill struct {
	Start Start // Limit is what it was at first: see SetLimit
	// Traced is the context that a tracer made for the run. The leader sets it before it decides,
	// and nobody reads it before that.
	Traced context.Context
	g      *Group

	mu      sync.Mutex
	keys    []string      // where it is in its group
	key     [1]string     // for keys, when there is but one
	changed chan struct{} // closed at the next change; nil when nobody waits

	answer Answer
	found  weak.Pointer[store.Entry] // what those who wait have found: see Share
	tags   []string                  // that the response got since
	body   body

	old     []byte // the body as readers may still have it, in a longer piece of memory
	pins    []*Pin // what its readers hold of the body, once it is another's
	readers []*Reader
	aside   int           // how many of them are no client's
	over    bool          // the run is over: what is left is for the readers
	late    policy.Reason // why the run was given up: what comes of it is for its own client alone
	gone    bool          // the leader's client has left
	abandon func()        // ends the handler's run
	unkept  func()        // called when the body is not kept any more, or nil
	unread  func()        // called when the last client has left, or nil
	goesOn  bool          // ... though no client waits: see Keep
	lost    policy.Reason // why, when nobody waits for it any more
	timer   *time.Timer   // until that
}

// signal wakes everyone who waits for a change. mu is held.
func (f *Fill) signal() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// Woken tells what ended a wait.
type Woken uint8

// What ends a wait.
const (
	ByChange Woken = iota
	ByTime
	ByPlace
)

// wait releases mu, which is held, until the next change, or until ctx is done.
func (f *Fill) wait(ctx context.Context) error {
	_, err := f.waitFor(ctx, nil, nil)
	return err
}

// waitFor is wait, and ends with late and when it has taken a place as well.
func (f *Fill) waitFor(
	ctx context.Context, late <-chan time.Time, place chan<- struct{},
) (Woken, error) {
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	changed := f.changed
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-changed:
		return ByChange, nil
	case <-late:
		return ByTime, nil
	case place <- struct{}{}:
		return ByPlace, nil
	case <-ctx.Done():
		return ByChange, ctx.Err()
	}
}

// Answer returns what is known of the response.
func (f *Fill) Answer() Answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answer
}

// Tag adds tags that the response got since its answer was decided.
func (f *Fill) Tag(tags ...string) {
	f.mu.Lock()
	f.tags = append(f.tags, tags...)
	f.mu.Unlock()
}

// Tags returns what Tag has added. The caller must not modify it.
func (f *Fill) Tags() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tags
}

// Await waits until the fill has moved on from StageAsked (ByChange), late fires (ByTime), or a
// send to place succeeds (ByPlace). It returns the error of ctx when that is done first.
func (f *Fill) Await(
	ctx context.Context, late <-chan time.Time, place chan<- struct{},
) (Woken, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.answer.Stage == StageAsked {
		if woken, err := f.waitFor(ctx, late, place); err != nil || woken != ByChange {
			return woken, err
		}
	}
	return ByChange, nil
}

// Decide moves the fill on from StageAsked, if it is still there. Of a response that is not for
// others, nobody joins the fill any more.
func (f *Fill) Decide(a Answer) {
	f.mu.Lock()
	if f.answer.Stage == StageAsked {
		f.answer = a
		f.signal()
	}
	f.mu.Unlock()
	if a.Stage == StagePrivate || a.Stage == StageFailed {
		f.Retire()
	}
}

// Share returns the stored response that another request which waits for the fill holds, where it is
// the same as e, or else e: a store on a server has a new copy for each of them. The fill itself
// holds none.
func (f *Fill) Share(e *store.Entry) *store.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	other := f.found.Value()
	if other != nil && other.Key == e.Key && other.Number == e.Number &&
		other.Requested.Equal(e.Requested) && other.Received.Equal(e.Received) &&
		len(other.Body) == len(e.Body) {
		return other
	}
	f.found = weak.Make(e)
	return e
}

// GiveUp frees the fill's keys, for a reason, although its run goes on. Those who wait for it look
// again.
func (f *Fill) GiveUp(why policy.Reason) { f.Replace(Answer{StageFailed, nil, why}) }

// Replace decides a fill whose run goes on, by what takes its place.
func (f *Fill) Replace(a Answer) {
	f.mu.Lock()
	if f.late == "" && !f.body.ended {
		f.late = a.Why
	}
	f.mu.Unlock()
	f.Decide(a)
	f.Retire()
}

// GivenUp returns why the run was given up, or nothing.
func (f *Fill) GivenUp() policy.Reason {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.late
}

// Release ends the run. The fill gives back what it took of the budget once nobody reads from it
// any more.
func (f *Fill) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if f.timer != nil {
		f.timer.Stop()
	}
	f.giveAll()
}
