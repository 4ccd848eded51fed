// Package deadline bounds calls by contexts that cost no timer each. A timer per call is the
// dearest thing about a call to a server next door: it wakes goroutines that wait for the network,
// for a moment that never comes.
package deadline

import (
	"context"
	"sync/atomic"
	"time"
)

// Source makes the contexts of calls that have the same time. The zero value is usable, by many at
// once.
type Source struct {
	last atomic.Pointer[bell]
}

// bell is a channel that is closed at its time, for all calls whose deadline is little before it.
type bell struct {
	at   time.Time
	done chan struct{}
}

// share is which part of the timeout a bell may ring late.
const share = 16

// Within returns ctx with a deadline no later than timeout from now, and what to call when the
// context is no longer needed. Where ctx can be cancelled that is context.WithDeadline. Where it
// cannot, Deadline and Err are exact, Done is closed up to a sixteenth of the timeout after the
// deadline, and nothing ends earlier.
func (s *Source) Within(
	ctx context.Context, now time.Time, timeout time.Duration,
) (context.Context, func()) {
	end := now.Add(timeout)
	if own, ok := ctx.Deadline(); ok && !own.After(end) {
		return ctx, nothing
	}
	if ctx.Done() != nil {
		return context.WithDeadline(ctx, end)
	}
	return &bounded{Context: ctx, end: end, slack: timeout / share, source: s}, nothing
}

func nothing() {}

// Only returns ctx without its Done, if it was made by Within and its deadline is all that can end
// it: for callees that keep to Deadline by themselves, and would do more work for a context that
// can be done.
func Only(ctx context.Context) context.Context {
	if b, ok := ctx.(*bounded); ok {
		return (*silent)(b)
	}
	return ctx
}

// bounded has a parent that is never done.
type bounded struct {
	context.Context
	end    time.Time
	slack  time.Duration
	source *Source
	bell   atomic.Pointer[bell]
}

func (b *bounded) Deadline() (time.Time, bool) { return b.end, true }

func (b *bounded) Err() error {
	if time.Now().Before(b.end) {
		return nil
	}
	return context.DeadlineExceeded
}

func (b *bounded) Done() <-chan struct{} {
	if own := b.bell.Load(); own != nil {
		return own.done
	}
	// or else another call of Done was first
	b.bell.CompareAndSwap(nil, b.source.bell(b.end, b.slack))
	return b.bell.Load().done
}

// AfterFunc is what package context looks for, so as not to begin a goroutine for each context that
// is made of this one.
func (b *bounded) AfterFunc(f func()) (stop func() bool) {
	return time.AfterFunc(time.Until(b.end), f).Stop
}

// bell returns one that rings between end and slack later.
func (s *Source) bell(end time.Time, slack time.Duration) *bell {
	last := s.last.Load()
	if last != nil && !last.at.Before(end) && last.at.Sub(end) <= slack {
		return last
	}
	b := &bell{at: end.Add(slack), done: make(chan struct{})}
	time.AfterFunc(time.Until(b.at), func() { close(b.done) })
	s.last.CompareAndSwap(last, b)
	return b
}

// silent is bounded without Done.
type silent bounded

func (s *silent) Deadline() (time.Time, bool) { return s.end, true }
func (s *silent) Done() <-chan struct{}       { return nil }
func (s *silent) Err() error                  { return (*bounded)(s).Err() }
func (s *silent) Value(key any) any           { return s.Context.Value(key) }
