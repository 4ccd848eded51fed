package follower

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
)

// How the journal is followed: asked anew this often, and after an error not before a pause that
// grows.
const (
	askEvery   = time.Second
	firstPause = 50 * time.Millisecond
	longPause  = 900 * time.Millisecond

	// How often in a row it answers and cannot be watched before that is its way.
	unwatchable = 3
)

// run follows the journal until ctx is done.
func (f *Follower) run(ctx context.Context) {
	defer close(f.ended)
	defer f.part()
	pause, told, unwatched := firstPause, false, 0
	for ctx.Err() == nil {
		seen := f.seen.Load()
		well := f.ask(ctx)
		if !well && f.seen.Load() > seen { // it gets on
			pause = firstPause
		}
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
			if well {
				unwatched++
			}
			if unwatched == unwatchable && !told { // or else it is about to be lost
				told = true
				f.Log.Warn("freshet: journal: it cannot be watched, and is asked once a second",
					"error", err)
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		if pause *= 2; well {
			pause = min(pause, askEvery)
		} else {
			pause = min(pause, longPause)
		}
	}
	f.send()
	if f.Spool != nil {
		f.Spool.Close()
	}
}

// watch applies marks as they come, and asks besides, so that a connection that says nothing any
// more is not taken for a journal in which nothing happens. It returns when either fails, with what
// went wrong with the first.
func (f *Follower) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	marks := make(chan store.Numbered)
	failed := make(chan error, 1)
	// Where another server took over, its journal may be behind past and ahead of what was seen: it
	// begins anew only for a watcher that is ahead of it.
	from := max(f.seen.Load(), f.past)
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
			f.learn([]store.Numbered{m})
		case <-f.held:
			if !f.ask(ctx) {
				return nil
			}
		case <-ask.C:
			if !f.ask(ctx) {
				return nil
			}
		}
	}
}

// listen sends the journal's marks after number to marks, as they come, until ctx is done.
func (f *Follower) listen(
	ctx context.Context, number uint64, marks chan<- store.Numbered,
) (err error) {
	defer caught(&err)
	for m, err := range f.Journal.Watch(ctx, number) {
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

// ask applies what is new and sends what could not be sent, and reports whether the journal had
// both done. One that answers and takes nothing, as a server that is full or may only be read, is
// not in touch again.
func (f *Follower) ask(ctx context.Context) bool {
	f.adopt()
	if !f.enter() || !f.catchUp(ctx) || !f.send() {
		return false
	}
	f.renewSoon()
	if f.told.Swap(false) {
		f.Log.Info("freshet: journal: in touch again")
	}
	return true
}

// catchUp applies everything that is new, part by part, and reports whether it has before ctx was
// done. What has been applied is not asked for again, by the next catchUp either.
func (f *Follower) catchUp(ctx context.Context) bool {
	first, ok := f.hear()
	for p := first; ok; p, ok = f.hear() {
		switch {
		case p.upTo >= p.head:
			return f.caughtUp(ctx, p.head, p.asked)
		case p.upTo >= first.head: // what has come since then is for the next catchUp, or the watch
			return f.caughtUp(ctx, p.upTo, first.asked)
		case ctx.Err() != nil:
			return false
		}
		f.renewSoon()
	}
	return false
}

// part is what the journal has answered.
type part struct {
	asked time.Duration // when it was asked, since the start
	upTo  uint64        // the number up to which all marks have been applied now
	head  uint64
}

// hear applies the first part of what is new, and reports whether the journal answered.
func (f *Follower) hear() (p part, ok bool) {
	ctx, cancel := f.context()
	defer cancel()
	// what this process has appended is a part of that
	asked, known := f.time.at(time.Now()), f.replica.Head()
	seen := f.seen.Load()
	marks, head, err := f.since(ctx, seen)
	if err == nil && (head < known || f.past > 0 && head <= f.past) {
		f.past = max(f.past, known)
		f.sawAnew()
		err = fmt.Errorf("its newest number is %d, and was %d: it was lost, and began anew in "+
			"the past; what is stored is not used until it has caught up", head, f.past)
	}
	if err != nil {
		f.fell(err)
		return part{}, false
	}
	if head > seen {
		f.touch.knows(head, f.seen.Load, asked)
	}
	if f.past > 0 { // it gave numbers up to there twice: seeing them says nothing
		f.begins(head)
	}
	f.learn(marks)
	return part{asked, reaches(seen, marks, head), head}, true
}

// caughtUp notes that all marks up to number have been applied, which the journal gave out before it
// was asked at a time, and reports whether that counts: what comes too late is asked for again, when
// a doubt has begun.
func (f *Follower) caughtUp(ctx context.Context, number uint64, asked time.Duration) bool {
	if f.past > 0 {
		// neither marks nor entries with the numbers that it gave out twice tell anything
		f.replica.Apply(store.Numbered{Mark: store.Mark{Kind: store.MarkEverything},
			Number: number})
		f.past = 0
	}
	f.replica.Advance(number)
	f.reached(number)
	if f.membership != nil && !f.unlisted.Load() && f.touch.ranOut(f.now()) {
		return f.enter() && f.catchUp(ctx) // it returns only now
	}
	f.touch.answered(asked)
	f.lost.Store(false)
	return true
}

// fell notes that the journal does not answer, and logs it once, unless the store has logged it.
func (f *Follower) fell(err error) {
	f.lost.Store(true)
	if !errors.Is(err, store.ErrUnavailable) && !f.told.Swap(true) {
		f.Log.Error("freshet: journal: out of touch: what is stored is used for a while yet, "+
			"then requests are answered by their handlers",
			"error", err, "for", f.MaxLag)
	}
}

// send appends what could not be appended before, and reports whether nothing is left.
func (f *Follower) send() bool {
	marks, held := f.unsent.all()
	if len(marks) == 0 {
		return !f.untaken.Load() || f.probe()
	}
	if f.ReadOnly {
		return f.number(marks, held)
	}
	last, err := f.sendAll(marks)
	if err != nil {
		f.fell(err)
		f.Spooled() // what could not be, and what came by another way
		return false
	}
	f.untaken.Store(false)
	f.unsent.took(held, last)
	return f.unsent.sent(held)
}
