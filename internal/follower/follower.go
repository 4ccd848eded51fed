// Package follower keeps one process's replica of a journal of invalidations that other processes
// append to as well. It knows stores and marks, and nothing of requests.
package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/deadline"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/spool"
	"github.com/freshet-go/freshet/store"
)

// Options say what to follow, and how.
type Options struct {
	// shared with other processes; nil: there is none, and the follower gives numbers itself
	Journal store.Journal
	Timeout time.Duration // of each call to the journal
	MaxLag  time.Duration // how long the replica can be trusted without an answer of the journal

	ReadOnly bool // nothing is appended to the journal: marks hold here alone
	// of what the journal does not take; nil: that is in memory alone. Not with ReadOnly
	Spool *spool.Spool
	// Notice gets each notice of others, from one goroutine, which waits for it. Nil: nobody does.
	Notice func(name string)
	// what people call the process, where the journal keeps a list of its members
	Name string

	Log *slog.Logger
}

// Follower applies the journal's marks to a replica, and appends marks. It is safe for concurrent
// use. Its methods but Start do not block on the journal, unless they say so.
type Follower struct {
	Options
	replica *invalidation.Replica
	own     *invalidation.Replica // ReadOnly: of the marks that hold here alone; nil otherwise
	calls   deadline.Source
	// without a journal: the last number given out, which nobody else asks about
	numbers   atomic.Uint64
	numbering sync.Mutex // held while marks get their numbers and are applied

	seen   atomic.Uint64 // up to which number all of the journal's marks have been applied
	begun  atomic.Uint64 // at which number the journal last began anew, as far as is known
	anew   atomic.Int64  // when this process saw that, or that the list was lost; 0: never
	recent recent
	// has something when marks are held that are to be appended
	held     chan struct{}
	reaching chan struct{} // has something while Reach asks the journal
	asks     atomic.Uint64 // how often it has begun to
	// a number that the journal no longer knew, until it is beyond that; touched by one goroutine
	past  uint64
	time  elapsed       // what touch counts by
	lost  atomic.Bool   // it did not answer when it was last asked
	told  atomic.Bool   // the log has heard from here that it is out of touch
	ended chan struct{} // closed when run has returned; nil: it was not started

	unsent    unsent
	touch     touch
	unspooled atomic.Bool // the spool did not take all that is held
	adopted   time.Time   // when the spool was asked last; touched by one goroutine

	probing chan struct{} // has something while Takes asks the journal
	probes  atomic.Uint64 // how often it has begun to
	takes   bool          // what came of the last; touched by who has put something into probing
	untaken atomic.Bool   // the journal did not take the last probe

	membership store.Membership // nil: the journal keeps no list
	id         string           // this member's
	unlisted   atomic.Bool      // the journal has said that it keeps no list
	renewing   chan struct{}    // has something while a renewal is asked for: no two are at once
	due        chan struct{}    // has something when a renewal is due
	doubted    chan struct{}    // ... when a doubt has begun
	attended   chan struct{}    // closed when attend has returned
	roster     roster
	claimed    atomic.Uint64 // the greatest number that a member has applied
	doubts     doubts
	barring    chan struct{} // has something while a barrier is appended for who waits
	barred     atomic.Uint64 // the number of the newest barrier that is known
}

// New returns a follower that has not been started.
//
// Without a journal its invalidations are lost with the process, so nothing that was stored before
// it began may be served: its numbers go on from the clock, past all that an earlier process gave
// out, and everything below counts as invalidated.
func New(o Options) *Follower {
	f := &Follower{Options: o, replica: invalidation.NewReplica(0), time: elapsed{start: time.Now()},
		held: make(chan struct{}, 1), reaching: make(chan struct{}, 1),
		probing: make(chan struct{}, 1)}
	f.unsent.spool = f.Spool
	f.touch.maxLag = f.MaxLag
	if f.ReadOnly {
		f.own = invalidation.NewReplica(0)
	}
	if !f.Shared() {
		begin := uint64(f.time.start.UnixMicro())
		f.numbers.Store(begin)
		f.replica.Apply(store.Numbered{Mark: store.Mark{Kind: store.MarkEverything}, Number: begin})
		return f
	}
	f.beMember()
	return f
}

// Replica returns what is known of the journal.
func (f *Follower) Replica() *invalidation.Replica { return f.replica }

// Shared reports whether there is a journal.
func (f *Follower) Shared() bool { return f.Journal != nil }

// Start asks the journal for what is new, and follows it until ctx is done. When Start returns, all of
// that has been applied, or the journal has failed, or Timeout has passed and the rest is read behind:
// until it has been, the follower is not in touch. Without a journal Start does nothing.
func (f *Follower) Start(ctx context.Context) {
	if !f.Shared() {
		return
	}
	f.ended = make(chan struct{})
	f.adopt()
	if f.enter() {
		first, cancel := f.context()
		f.catchUp(first)
		cancel()
	}
	if f.membership != nil {
		f.attended = make(chan struct{})
		go f.attend(ctx)
	}
	go f.run(ctx)
}

// Wait returns when following has ended.
func (f *Follower) Wait() {
	if f.ended != nil {
		<-f.ended
	}
}

// Lost reports whether the journal did not answer when it was last asked: an invalidation would not
// reach others now.
func (f *Follower) Lost(now time.Time) bool {
	return f.Shared() && (f.lost.Load() || !f.InTouch(now))
}

// Head returns the newest number that has been applied. Marks below it may be missing: see Seen.
func (f *Follower) Head() uint64 { return f.replica.Head() }

// Covers returns what the invalidations that are newer than the entry mean for it.
func (f *Follower) Covers(e *store.Entry) invalidation.Coverage { return f.CoversSince(e, 0) }

// CoversSince is Covers for what this process has begun to make when so many marks had been held that
// the journal did not take ([Follower.Held]): it is newer than these, whatever numbers they get.
func (f *Follower) CoversSince(e *store.Entry, held uint64) invalidation.Coverage {
	if e.Number < f.doubts.floor.Load() {
		return invalidation.CoverageHard
	}
	// first: what has been sent is in the replica before it is gone from here
	unsent := f.unsent.covers(e, held)
	if f.own != nil {
		unsent = max(unsent, f.own.Covers(e))
	}
	return max(unsent, f.replica.Covers(e))
}

// ErrUnsent is the error of an invalidation that holds in this process, and that the journal did
// not take yet.
var ErrUnsent = errors.New("the journal did not take the invalidation: it holds in this process, " +
	"and other processes learn of it when the journal answers again")

// Append appends marks to the journal and applies them here: when it has returned, this process
// serves nothing that they cover. It waits for the journal for up to Timeout. Marks that the
// journal did not take are held, and sent when it can; until then they cover whatever is stored, of
// whatever number, and the error is ErrUnsent. The spool has them, too, or the error says why not.
func (f *Follower) Append(ctx context.Context, marks []store.Mark) (last uint64, err error) {
	for _, m := range marks {
		if err := m.Validate(); err != nil {
			return 0, err
		}
	}
	marks = invalidation.Named(marks)
	if !f.Shared() {
		f.numbering.Lock() // so that none is missing below the newest one
		defer f.numbering.Unlock()
		return f.apply(marks, f.numbers.Add(uint64(len(marks)))), nil
	}
	if f.ReadOnly {
		return 0, f.keep(marks)
	}
	if f.lost.Load() {
		return 0, f.refused(marks, nil)
	}
	bounded, cancel := f.calls.Within(ctx, time.Now(), f.Timeout)
	defer cancel()
	last, err = f.append(bounded, marks)
	if err != nil {
		if ctx.Err() == nil { // or else it is the caller who left
			f.fell(err)
		}
		return 0, f.refused(marks, err)
	}
	return last, nil
}

// append fails where the journal gives numbers that are no greater than those known before: it was
// lost, as at a failover to a server whose clock is behind, and marks with such numbers cover nothing
// that is stored here.
func (f *Follower) append(ctx context.Context, marks []store.Mark) (last uint64, err error) {
	defer caught(&err)
	known := f.Head()
	if last, err = f.Journal.Append(ctx, marks...); err != nil {
		return 0, err
	}
	first := last - uint64(len(marks)) + 1
	if first <= known {
		return 0, &pastError{first, known}
	}
	f.apply(marks, last)
	if !f.seen.CompareAndSwap(first-1, last) { // there are others' in between
		f.measure()
	}
	return last, nil
}

// pastError is that of a journal which has given a mark a number that is no greater than one known
// before.
type pastError struct{ given, known uint64 }

func (e *pastError) Error() string {
	return fmt.Sprintf("it gave an invalidation the number %d, and its newest was %d: it was lost, "+
		"and began anew in the past; the invalidation is sent again", e.given, e.known)
}

// apply applies marks that were appended together, so that their numbers follow on each other, to
// the last.
func (f *Follower) apply(marks []store.Mark, last uint64) uint64 {
	first := last - uint64(len(marks)) + 1
	for i, m := range marks {
		n := store.Numbered{Mark: m, Number: first + uint64(i)}
		if f.Shared() {
			f.remember(n)
		}
		f.replica.Apply(n)
	}
	return last
}

// Appended returns how many marks that mark something anyone has appended since number, or -1 when
// the journal does not answer, for which it waits for up to Timeout.
func (f *Follower) Appended(number uint64) int {
	if !f.Shared() {
		return int(f.numbers.Load() - number) // there are no gaps
	}
	ctx, cancel := f.context()
	defer cancel()
	for n := 0; ; {
		marks, head, err := f.since(ctx, number)
		if err != nil {
			return -1
		}
		for _, m := range marks {
			if m.Kind.Covers() {
				n++
			}
		}
		if number = reaches(number, marks, head); number >= head {
			return n
		}
	}
}

func (f *Follower) since(
	ctx context.Context, number uint64,
) (marks []store.Numbered, head uint64, err error) {
	defer caught(&err)
	return f.Journal.Since(ctx, number)
}

// reaches returns up to where the answer of Since to a number has all marks: where that is smaller
// than the head, there are more. An answer without news is all, wherever the head is.
func reaches(number uint64, marks []store.Numbered, head uint64) uint64 {
	if n := len(marks); n > 0 && marks[n-1].Number > number {
		return marks[n-1].Number
	}
	return head
}

// context returns one for a call that nobody waits for.
func (f *Follower) context() (context.Context, func()) {
	return f.calls.Within(context.Background(), time.Now(), f.Timeout)
}

// caught turns the panic of a journal into an error: it is broken, like one that fails.
func caught(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("the journal panicked: %v", v)
	}
}
