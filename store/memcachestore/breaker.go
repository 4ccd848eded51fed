package memcachestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
)

const (
	// openAfter is how many exchanges in a row a server leaves without an answer before it is asked
	// no more.
	openAfter = 5
	// tryEvery is how often one call then tries it again, when there are calls. Up to a quarter is
	// added at random, so that many processes do not try in step.
	tryEvery = 500 * time.Millisecond
	// leastTime is what a call must have left for its answer to say anything of the server.
	leastTime = 25 * time.Millisecond
)

// breaker stops the calls to one of several servers while that does not answer, so that only the
// first of them wait for it. A single server has none: that is for who guards the whole store. It
// is safe for concurrent use.
type breaker struct {
	start   time.Time
	failing atomic.Bool  // the last exchange had no answer
	next    atomic.Int64 // when a call may try the server, in nanoseconds since start; 0: any may

	mu     sync.Mutex
	failed int       // exchanges in a row
	since  time.Time // when the first of them ended
	why    error     // of the last
}

// open reports whether the server is not asked, but to try it.
func (b *breaker) open() bool { return b.next.Load() != 0 }

// ask reports whether a call may go to the server now. Of an open breaker, that is one at a time.
func (b *breaker) ask() bool {
	next, now := b.next.Load(), int64(time.Since(b.start))
	return next == 0 || now >= next && b.next.CompareAndSwap(next, now+pauseOf(tryEvery))
}

func pauseOf(d time.Duration) int64 { return int64(d + rand.N(d/4) + 1) }

// answered notes an answer. While the server is well, that costs an atomic load.
func (b *breaker) answered() {
	if !b.failing.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed, b.why = 0, nil
	b.next.Store(0)
	b.failing.Store(false)
}

// missed notes an exchange without an answer.
func (b *breaker) missed(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == 0 {
		b.since = time.Now()
	}
	b.failed++
	b.why = why
	b.failing.Store(true)
	if b.failed >= openAfter {
		b.next.Store(int64(time.Since(b.start)) + pauseOf(tryEvery))
	}
}

// silent returns for how long an open breaker's server has not answered; 0 of one that is closed.
func (b *breaker) silent() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < openAfter {
		return 0
	}
	return max(time.Since(b.since), 1)
}

// refusal is the error of a call that an open breaker has stopped.
func (b *breaker) refusal(s *server) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &refusedError{s, b.why}
}

// refusedError says that a server was not asked.
type refusedError struct {
	server *server
	cause  error // nil: it has just answered again
}

func (e *refusedError) Error() string {
	if e.cause == nil {
		return "not asked, because it did not answer until now"
	}
	return fmt.Sprintf("not asked, because it does not answer: %v", e.cause)
}

// several reports whether there is more than one server.
func (b *Backend) several() bool { return len(b.servers.all) > 1 }

// unanswered notes that an exchange with a server, which began at a time, ended with err. That a
// caller gave up or had no time, or that a long answer was still coming, says nothing of the server.
func (b *Backend) unanswered(ctx context.Context, s *server, began time.Time, err error) {
	end, bounded := ctx.Deadline()
	hurried := bounded && end.Sub(began) < leastTime
	if !b.several() || b.pool.done.Err() != nil || hurried ||
		errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, store.ErrUnderway) {
		return
	}
	_, cause := b.judge(ctx, err)
	s.breaker.missed(cause)
}

// oneServerError is the error of one of several servers.
type oneServerError struct{ cause error }

func (e *oneServerError) Error() string   { return e.cause.Error() }
func (e *oneServerError) Unwrap() []error { return []error{e.cause, store.ErrOneServer} }

// others reports whether a server other than s is asked.
func (b *Backend) others(s *server) bool {
	for _, a := range b.servers.all {
		if a != s && !a.breaker.open() {
			return true
		}
	}
	return false
}
