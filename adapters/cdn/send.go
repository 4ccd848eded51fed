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
	l.current = nil
	if err == nil {
		l.done(b)
		return
	}
	if ctx.Err() != nil { // the Outbox is closed: that says nothing of the target
		l.queue = slices.Concat(b.items, l.queue)
		return
	}
	l.fail(b, asError(l.target.Name(), err))
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
	if l.failures > 0 && !l.byRequest {
		l.out.options.Log.Info("cdn: a target takes purges again", "target", l.target.Name(),
			"failures", l.failures)
	}
	l.failures, l.failed, l.pause = 0, nil, time.Time{}
	l.successes++
	if b.items[0].tries > 0 {
		l.widen()
	}
	l.finish(b.items)
}

// finish notes that the target has taken items.
func (l *lane) finish(items []*item) {
	for _, i := range items {
		i.done = true
		l.uncount(i)
		l.settle(i)
	}
	if len(items) > 0 {
		l.out.move()
	}
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
