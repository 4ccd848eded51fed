// Package watch has the loop of a journal's Watch: look, yield what is new, wait, look again.
package watch

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/freshet-go/freshet/store"
)

const (
	// Every is how often a watcher looks at a journal that announces nothing: so late may a mark
	// come.
	Every = 250 * time.Millisecond
	// Often is how often it looks while marks are coming: from one until there has been none for
	// Busy. Then its pauses double. So it looks at most 40 times a second, and 4 times where
	// nothing happens.
	Often = 25 * time.Millisecond
	Busy  = time.Second
	// Anyway is how often a watcher looks at a journal that announces its marks, in case it no
	// longer does.
	Anyway = time.Second
)

// Yield is the body of a loop over a Watch.
type Yield = func(store.Numbered, error) bool

// Seq returns the sequence that follow yields, with its error at the end, if it returns one. A
// follow returns nil when yield returned false.
func Seq(follow func(yield Yield) error) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		if err := follow(yield); err != nil {
			yield(store.Numbered{}, err)
		}
	}
}

// Follow yields the marks after the number from, and then each new one. look returns what Since does:
// after a part of the marks it is called again at once. wait returns when it is time to look again.
// Follow returns nil once ctx is done or yield wants no more, and otherwise the error of look or
// wait, or one that says that the journal was lost.
func Follow(
	ctx context.Context, from uint64, yield Yield,
	look func(from uint64) (marks []store.Numbered, head uint64, err error),
	wait func(from uint64) error,
) error {
	for ctx.Err() == nil {
		marks, head, err := look(from)
		if err == nil && head < from {
			err = lost(head, from)
		}
		if err != nil {
			return unlessDone(ctx, err)
		}
		for _, m := range marks {
			if ctx.Err() != nil || !yield(m, nil) {
				return nil
			}
			from = m.Number
		}
		if len(marks) > 0 && from < head {
			continue
		}
		if err := wait(from); err != nil {
			return unlessDone(ctx, err)
		}
	}
	return nil
}

func lost(head, from uint64) error {
	return fmt.Errorf("the newest number is %d, and was %d: "+
		"the journal was lost, and began anew in the past", head, from)
}

// unlessDone returns err, or nil if ctx is done: a Watch whose context is done ends without an
// error.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Pace is how long a watcher waits before it looks again, by what it has seen. The zero value is
// one that has seen nothing.
type Pace struct {
	pause time.Duration
	came  time.Time // the last mark
}

// Next returns the pause after a look at a time, which has found marks or none.
func (p *Pace) Next(now time.Time, found bool) time.Duration {
	switch {
	case found:
		p.came, p.pause = now, Often
	case p.pause == 0:
		p.pause = Every
	case now.Sub(p.came) >= Busy:
		p.pause = min(2*p.pause, Every)
	}
	return p.pause
}

// Poll follows a journal by looking at it after the pauses of a Pace. It looks at once when the
// channel that look has returned, which may be nil, or closed is closed.
func Poll(
	ctx context.Context, closed <-chan struct{}, from uint64, yield Yield,
	look func(from uint64) (marks []store.Numbered, head uint64, changed <-chan struct{},
		err error),
) error {
	var pace Pace
	var changed <-chan struct{}
	found := false
	lookOnce := func(from uint64) (marks []store.Numbered, head uint64, err error) {
		marks, head, changed, err = look(from)
		found = found || len(marks) > 0
		return marks, head, err
	}
	wait := func(uint64) error {
		again := time.NewTimer(pace.Next(time.Now(), found))
		defer again.Stop()
		found = false
		select {
		case <-changed:
		case <-again.C:
		case <-closed:
		case <-ctx.Done():
		}
		return nil
	}
	return Follow(ctx, from, yield, lookOnce, wait)
}
