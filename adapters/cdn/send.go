package cdn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// run sends what the lane owes until ctx is done.
func (l *lane) run(ctx context.Context) {
	defer func() {
		last, cancel := context.WithTimeout(context.Background(), l.out.options.Timeout)
		defer cancel()
		l.tidy(last)
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		again := l.tidy(ctx)
		l.out.mu.Lock()
		b, wait := l.pick(time.Now())
		l.out.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if b != nil {
			l.send(ctx, b)
			continue
		}
		if again {
			wait = sooner(wait, l.out.options.MaxPause)
		}
		if wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// send tries a batch once, and notes what became of it.
func (l *lane) send(ctx context.Context, b *batch) {
	bounded, cancel := context.WithTimeout(ctx, l.out.options.SendTimeout)
	err := l.purge(bounded, b.rest)
	cancel()
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	l.sending = false
	if err == nil {
		l.done(b)
		return
	}
	if ctx.Err() != nil { // the Outbox is closed: that says nothing of the target
		return
	}
	l.fail(b, asError(l.target.Name(), err))
	if all := l.known[allText]; all != nil && l.current != nil {
		l.absorb(all)
		l.settle(all)
	}
}

// purge calls the target. One that panics has failed.
func (l *lane) purge(ctx context.Context, p Purge) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Target: l.target.Name(), Err: fmt.Errorf("the target panicked: %v", v)}
		}
	}()
	return l.target.Purge(ctx, p)
}

func (l *lane) done(b *batch) {
	if l.failures > 0 {
		l.out.options.Log.Info("cdn: a target takes purges again", "target", l.target.Name(),
			"failures", l.failures)
	}
	l.current, l.failures, l.failed, l.pause = nil, 0, nil, time.Time{}
	for _, i := range b.items {
		i.done = true
		l.uncount(i)
		l.settle(i)
	}
	l.out.move()
}

// fail decides when the batch is tried again, and how.
func (l *lane) fail(b *batch, e *Error) {
	now, o := time.Now(), &l.out.options
	if e.Rest != nil {
		if e.Rest.Len() < b.rest.Len() {
			l.failures = 0
		}
		b.rest = *e.Rest
	}
	retry := min(e.RetryAfter, maxRetryAfter)
	if l.demanded = retry > 0; e.Kind == KindPaced {
		l.pause = now.Add(max(retry, time.Millisecond))
		return
	}
	l.failures++
	l.failed = e
	pause := max(backoff(l.failures, o.MinPause, o.MaxPause), retry)
	if retry > 0 {
		pause = retry + time.Duration(rand.Int64N(int64(retry)/8+1))
	}
	l.pause = now.Add(pause)
	if e.Kind == KindPermanent {
		l.setApart(b, e, now)
		pause = o.MaxPause
	}
	owed := l.count()
	o.Log.Warn("cdn: a target did not take a purge", "target", l.target.Name(), "error", e,
		"pause", pause.Round(time.Millisecond), "owed", owed)
}

// setApart has the items of a batch that fails for good be tried one by one, so that those that the
// target takes are not held up by the others. One that fails by itself waits for the longest pause,
// behind all others: somebody may change the target's configuration.
func (l *lane) setApart(b *batch, e *Error, now time.Time) {
	l.current = nil
	if len(b.items) == 1 {
		i := b.items[0]
		i.picked = false
		i.alone, i.failed, i.after = true, e, now.Add(l.out.options.MaxPause)
		l.queue, l.pause = append(l.queue, i), time.Time{}
		return
	}
	for _, i := range b.items {
		i.alone, i.picked = true, false
	}
	l.queue = slices.Concat(b.items, l.queue)
}

// backoff returns the pause after so many failures: between half of it and all of it.
func backoff(failures int, least, most time.Duration) time.Duration {
	pause := least
	for range failures - 1 {
		if pause *= 2; pause >= most || pause <= 0 {
			pause = most
			break
		}
	}
	pause = min(pause, most)
	return pause/2 + time.Duration(rand.Int64N(int64(pause/2)+1))
}

// tidy deletes records that are not needed any more, and reports whether some are left because the
// store fails.
func (l *lane) tidy(ctx context.Context) (again bool) {
	if l.out.keeper == nil {
		return false
	}
	for {
		l.out.mu.Lock()
		if len(l.garbage) == 0 {
			l.garbage = nil
			l.out.mu.Unlock()
			return false
		}
		key := l.garbage[0]
		l.out.mu.Unlock()
		if err := l.out.keeper.delete(ctx, key); err != nil {
			return true
		}
		l.out.mu.Lock()
		if len(l.garbage) > 0 && l.garbage[0] == key {
			l.garbage = l.garbage[1:]
		}
		l.out.mu.Unlock()
	}
}
