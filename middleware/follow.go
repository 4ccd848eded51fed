package middleware

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
)

// follower keeps this node's replica of a journal that others append to as well: another process with
// the same store, say. It also holds what could not be appended until it could.
type follower struct {
	c       *Cache
	journal store.Journal
	shared  bool          // with other processes; otherwise there is no journal:
	numbers atomic.Uint64 // ... the last number given out, which nobody else asks about

	seen  uint64        // up to which number the journal's marks have been applied; touched by one goroutine
	past  uint64        // a number that the journal no longer knew, until it is beyond that; likewise
	heard atomic.Int64  // when the journal last answered, in nanoseconds since start; 0: never
	lost  atomic.Bool   // it did not answer when it was last asked
	told  atomic.Bool   // ... and the log has heard of it from here
	start time.Time     // what heard counts from
	ended chan struct{} // closed when follow has returned; nil: it never ran

	mu     sync.Mutex
	unsent map[store.Mark]bool
	bytes  int                           // of their names
	kept   uint64                        // how many were ever kept
	covers atomic.Pointer[store.Replica] // of unsent; nil when there is none
}

// How the journal is followed: asked anew this often, and after an error not before a pause that grows.
const (
	askEvery   = time.Second
	firstPause = 50 * time.Millisecond
	longPause  = 2 * time.Second

	// How often in a row it answers and cannot be watched before that is its way.
	unwatchable = 3

	// More that could not be sent than this becomes one mark that covers everything.
	maxUnsent      = 10_000
	maxUnsentBytes = 16 << 20
)

// startJournal finds the journal of the store or, where it has none, begins one of this process.
func (c *Cache) startJournal() {
	c.replica = store.NewReplica(0)
	c.follow.c, c.follow.start = c, time.Now()
	journal := c.Journal
	if journal == nil {
		if j, ok := store.As[store.Journaled](c.Store); ok {
			journal = j.Journal()
		}
	}
	if f, ok := store.As[store.Follower](c.Store); ok {
		f.Follow(c.replica)
	}
	if journal == nil {
		c.startPrivateJournal()
		return
	}
	c.follow.journal, c.follow.shared = journal, true
	c.follow.ended = make(chan struct{})
	c.follow.catchUp() // so that the first request finds what is stored; if it fails, the follower goes on
	go c.follow.run(c.stop)
}

// startPrivateJournal begins the journal of this process. Its invalidations are lost with it, so nothing
// that was stored before it began may be served: its numbers go on from the clock, past all that an earlier
// process gave out, and everything below counts as invalidated.
func (c *Cache) startPrivateJournal() {
	begin := uint64(time.Now().UnixMicro())
	c.follow.numbers.Store(begin)
	c.replica.Apply(store.Numbered{Mark: store.Mark{Kind: store.Everything}, Number: begin})
}

// run follows the journal until ctx is done.
func (f *follower) run(ctx context.Context) {
	defer close(f.ended)
	pause, told, unwatched := firstPause, false, 0
	for ctx.Err() == nil {
		well := f.catchUp() && f.send()
		if !well {
			unwatched = 0
		}
		if well || f.past > 0 { // a watcher may have the journal begin anew
			began := time.Now()
			err := f.watch(ctx)
			if time.Since(began) >= askEvery {
				pause, told, unwatched = firstPause, false, 0
				continue
			}
			if well && err != nil {
				unwatched++
			}
			if unwatched == unwatchable && !told { // or else it is about to be lost
				told = true
				f.c.Log.Warn("freshet: journal: it cannot be watched, and is asked once a second", "error", err)
			}
			pause = min(pause, askEvery)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longPause)
	}
	f.send()
}

// watch applies marks as they come, and asks besides, so that a connection that says nothing any more is
// not taken for a journal in which nothing happens. It returns when either fails, with what went wrong with
// the first.
func (f *follower) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	marks := make(chan store.Numbered)
	failed := make(chan error, 1)
	from := f.seen
	go func() {
		defer close(marks)
		if err := f.listen(ctx, from, marks); err != nil {
			failed <- err
		}
	}()
	defer func() {
		cancel()
		for range marks { // until the goroutine has ended
		}
	}()
	ask := time.NewTicker(askEvery)
	defer ask.Stop()
	for {
		select {
		case m, more := <-marks:
			if !more {
				select {
				case err := <-failed:
					return err
				default:
					return nil
				}
			}
			f.apply(m)
		case <-ask.C:
			if !f.catchUp() || !f.send() {
				return nil
			}
		}
	}
}

func (f *follower) listen(ctx context.Context, from uint64, marks chan<- store.Numbered) (err error) {
	defer caught(&err)
	for m, err := range f.journal.Watch(ctx, from) {
		if err != nil {
			return err
		}
		select {
		case marks <- m:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (f *follower) apply(m store.Numbered) {
	f.c.replica.Apply(m)
	f.seen = max(f.seen, m.Number)
}

// catchUp asks for everything that is new, and says whether the journal answered.
func (f *follower) catchUp() bool {
	ctx, cancel := f.c.storeContext()
	defer cancel()
	asked, known := time.Since(f.start), f.c.replica.Head() // what this node has appended is a part of that
	marks, head, err := f.since(ctx, f.seen)
	if err == nil && (head < known || f.past > 0 && head <= f.past) {
		f.past = max(f.past, known)
		err = fmt.Errorf("its newest number is %d, and was %d: it was lost, and began anew in the past; what is stored is not used until it has caught up", head, f.past)
	}
	if err != nil {
		f.fell(err)
		return false
	}
	if f.past > 0 { // it gave numbers up to there twice: neither marks nor entries with them tell anything
		f.apply(store.Numbered{Mark: store.Mark{Kind: store.Everything}, Number: head})
		f.past = 0
	}
	for _, m := range marks {
		f.apply(m)
	}
	f.c.replica.Advance(head)
	f.seen = max(f.seen, head)
	f.heard.Store(int64(max(asked, 1)))
	if f.lost.Swap(false) && f.told.Swap(false) {
		f.c.Log.Info("freshet: journal: in touch again")
	}
	return true
}

func (f *follower) since(ctx context.Context, number uint64) (marks []store.Numbered, head uint64, err error) {
	defer caught(&err)
	return f.journal.Since(ctx, number)
}

// fell notes that the journal does not answer, and says so once, unless the store has said it.
func (f *follower) fell(err error) {
	f.lost.Store(true)
	if !errors.Is(err, store.ErrUnavailable) && !f.told.Swap(true) {
		f.c.Log.Error("freshet: journal: out of touch: what is stored is used for a while yet, then requests are answered by their handlers",
			"error", err, "for", f.c.MaxLag)
	}
}

// inTouch says whether this node knows well enough what others have invalidated.
func (f *follower) inTouch(now time.Time) bool {
	if !f.shared {
		return true
	}
	heard := f.heard.Load()
	return heard > 0 && now.Sub(f.start)-time.Duration(heard) <= f.c.MaxLag
}

// append records marks, and takes note of them: when it has returned, this node serves nothing that they
// cover. Marks that the journal could not take are kept, and sent when it can; until then they cover
// whatever is stored, of whatever number.
func (f *follower) append(ctx context.Context, marks []store.Mark) (uint64, error) {
	for _, m := range marks {
		if err := m.Validate(); err != nil {
			return 0, err
		}
	}
	if !f.shared {
		return f.record(ctx, marks)
	}
	if f.lost.Load() {
		f.keep(marks)
		return 0, errUnsent
	}
	bounded, cancel := f.c.calls.Within(ctx, time.Now(), f.c.StoreTimeout)
	defer cancel()
	last, err := f.record(bounded, marks)
	if err != nil {
		f.keep(marks)
		if ctx.Err() == nil { // or else it is the caller who left
			f.fell(err)
		}
		return 0, errors.Join(errUnsent, err)
	}
	return last, nil
}

var errUnsent = errors.New("middleware: the journal did not take the invalidation: it holds in this process, and other processes learn of it when the journal answers again")

// record appends marks and applies them here. Numbers of one Append follow on each other.
func (f *follower) record(ctx context.Context, marks []store.Mark) (last uint64, err error) {
	defer caught(&err)
	if !f.shared {
		last = f.numbers.Add(uint64(len(marks)))
	} else if last, err = f.journal.Append(ctx, marks...); err != nil {
		return 0, err
	}
	first := last - uint64(len(marks)) + 1
	for i, m := range marks {
		f.c.replica.Apply(store.Numbered{Mark: m, Number: first + uint64(i)})
	}
	return last, nil
}

// keep holds marks that could not be sent.
func (f *follower) keep(marks []store.Mark) {
	f.mu.Lock()
	defer f.mu.Unlock()
	covers := f.covers.Load()
	if covers == nil {
		f.unsent, covers = make(map[store.Mark]bool), store.NewReplica(0)
	}
	for _, m := range marks {
		f.hold(m, covers)
	}
	if len(f.unsent) > maxUnsent || f.bytes > maxUnsentBytes {
		f.unsent, f.bytes = make(map[store.Mark]bool), 0
		f.hold(store.Mark{Kind: store.Everything}, covers)
	}
	f.covers.Store(covers)
}

func (f *follower) hold(m store.Mark, covers *store.Replica) {
	m.Name = strings.Clone(m.Name) // it may be a part of something big
	f.kept++
	covers.Apply(store.Numbered{Mark: m, Number: f.kept})
	if !f.unsent[m] {
		f.unsent[m] = true
		f.bytes += len(m.Name)
	}
}

// send appends what could not be appended before, and says whether nothing is left.
func (f *follower) send() bool {
	f.mu.Lock()
	marks, kept := slices.Collect(maps.Keys(f.unsent)), f.kept
	f.mu.Unlock()
	if len(marks) == 0 {
		return true
	}
	ctx, cancel := f.c.storeContext()
	defer cancel()
	if _, err := f.record(ctx, marks); err != nil {
		f.fell(err)
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept != kept {
		return false // more came meanwhile: all of it goes again, which harms nobody
	}
	f.unsent, f.bytes = nil, 0
	f.covers.Store(nil)
	return true
}

// covers returns what the invalidations that are newer than the entry mean for it.
func (c *Cache) covers(e *store.Entry) store.Coverage {
	coverage := c.replica.Covers(e)
	if unsent := c.follow.covers.Load(); unsent != nil {
		old := store.Entry{Key: e.Key, URI: e.URI, Tags: e.Tags} // whatever its number
		coverage = max(coverage, unsent.Covers(&old))
	}
	return coverage
}
