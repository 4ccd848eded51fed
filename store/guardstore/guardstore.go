// Package guardstore bounds what a sick store costs: a deadline for each operation, a breaker that
// stops asking a server that fails, and a limit on how many operations wait at once.
package guardstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/deadline"
	"github.com/freshet-go/freshet/store"
)

// Options are the settings of a Store. The zero value is usable: of numbers and durations, 0 is the
// default and less than 0 is none.
type Options struct {
	// Name is what logs and errors call the inner store: "redis". Default "store".
	Name string

	// Timeout bounds a Get or a Delete; SetTimeout bounds a Set. A caller whose own deadline comes
	// first is held to that. Default 250 milliseconds, and 1 second; negative: no bound.
	Timeout, SetTimeout time.Duration

	// Failures is how many failures one after the other open the breaker: timeouts, and errors
	// whose kind is Sick. One success in between, and the count begins anew. Default 5; negative:
	// nothing opens it.
	Failures int
	// Retry is how long the breaker stays open before one operation may try the inner store again.
	// It doubles with each such probe that fails, up to MaxRetry. The Store adds up to a quarter at
	// random, so that many nodes do not try in step. Default 1 second, and 30 seconds; negative: no
	// wait, and no bound.
	Retry, MaxRetry time.Duration
	// Successes is how many probes must succeed, one after the other, to close the breaker. So many
	// may be under way at once. Less than 1: 1.
	Successes int

	// MaxWaiting is how many operations may be under way at once; more fail at once. Default 1024;
	// negative: any number.
	MaxWaiting int

	// Detached is for inner stores that do not end a call when its context is done. Each call then
	// has a goroutine of its own, which is left behind at the deadline and counts towards
	// MaxWaiting for as long as it lasts. It costs a microsecond or two a call. Without it the
	// deadline holds as far as the inner store heeds contexts; the drivers under store/ do.
	Detached bool

	// Log hears when the inner store, or its journal, stops answering, and when all does again. It
	// hears of failures that open nothing at most once a minute for each kind. Default
	// slog.Default().
	Log *slog.Logger
	// OnChange, when not nil, is called after each change of state, in order and one at a time, by
	// a caller of the Store: it must be quick.
	OnChange func(State)
}

const (
	defaultName       = "store"
	defaultTimeout    = 250 * time.Millisecond
	defaultSetTimeout = time.Second
	defaultFailures   = 5
	defaultRetry      = time.Second
	defaultMaxRetry   = 30 * time.Second
	defaultMaxWaiting = 1024

	never = 100 * 365 * 24 * time.Hour
)

// or returns a setting: the default for 0, and none for less.
func or[T int | time.Duration](value, byDefault, none T) T {
	switch {
	case value < 0:
		return none
	case value == 0:
		return byDefault
	}
	return value
}

func (o Options) withDefaults() Options {
	o.Name = cmp.Or(o.Name, defaultName)
	o.Timeout = or(o.Timeout, defaultTimeout, never)
	o.SetTimeout = or(o.SetTimeout, defaultSetTimeout, never)
	o.Failures = or(o.Failures, defaultFailures, math.MaxInt32)
	o.Retry = or(o.Retry, defaultRetry, 1)
	o.MaxRetry = max(or(o.MaxRetry, defaultMaxRetry, never), o.Retry)
	o.Successes = max(o.Successes, 1)
	o.MaxWaiting = or(o.MaxWaiting, defaultMaxWaiting, math.MaxInt)
	o.Log = cmp.Or(o.Log, slog.Default())
	return o
}

// Store passes calls on to an inner store for as long as that is well. It is safe for concurrent
// use and has no goroutine of its own.
//
// Every error that it returns, except store.ErrNotFound, is a *store.Error that matches
// store.ErrUnavailable and has the cause in its text and chain: the Store has counted it and, where
// that is due, logged it. A panic of the inner store is such an error. What the caller is to blame
// for opens nothing: a context that was cancelled, and errors of store.KindPermanent. Nor does a
// timeout that matches store.ErrUnderway, for a long value comes more slowly than a short one, nor
// store.KindAuthentication: credentials that may read but not write are a setup that works by half,
// and servers refuse wrong ones quickly. Nor does an error that matches store.ErrOneServer: of
// several servers, the inner store stops asking the one that does not answer, and the others serve.
//
// A Set or Delete that fails leaves the inner store as it is: what was there may be there again
// when the server is back. That is safe because entries carry their journal number: the mark of an
// invalidation meanwhile has a greater one.
type Store struct {
	inner   store.Store
	options Options
	breaker *breaker
	news    news
	counts  counts
	waiting atomic.Int64

	short, long deadline.Source // of Timeout and of SetTimeout
}

var (
	_ store.Store     = (*Store)(nil)
	_ store.Local     = (*Store)(nil)
	_ store.Journaled = (*Store)(nil)
)

// New guards inner.
func New(inner store.Store, o Options) *Store {
	if inner == nil {
		panic("guardstore: New: the inner store is nil")
	}
	o = o.withDefaults()
	s := &Store{inner: inner, options: o}
	s.news.options = &s.options
	s.breaker = newBreaker(&s.options, &s.news)
	return s
}

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (*store.Entry, error) {
	return s.guard(ctx, call{op: get, key: key}, s.options.Timeout, &s.short)
}

// Set implements [store.Store].
func (s *Store) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	_, err := s.guard(ctx, call{op: set, key: key, entry: e, ttl: ttl}, s.options.SetTimeout,
		&s.long)
	return err
}

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, key string) error {
	_, err := s.guard(ctx, call{op: del, key: key}, s.options.Timeout, &s.short)
	return err
}

// Local implements [store.Local]: it returns false, because what needs a guard may wait.
func (s *Store) Local() bool { return false }

// Unwrap returns the inner store, for store.As. It is not guarded.
func (s *Store) Unwrap() any { return s.inner }

// guard makes a call if the breaker lets it, within the deadline.
func (s *Store) guard(
	ctx context.Context, c call, timeout time.Duration, bounds *deadline.Source,
) (e *store.Entry, err error) {
	if err := ctx.Err(); err != nil {
		s.counts.left.Add(1)
		return nil, s.unavailable(c, &failure{kind: store.KindTimeout, err: err})
	}
	var failed *failure
	refused := s.breaker.ask(func() *failure {
		e, failed, err = s.try(ctx, c, timeout, bounds)
		return failed
	})
	s.news.deliver()
	switch {
	case refused != nil:
		s.counts.rejected.Add(1)
		return nil, s.unavailable(c, refused)
	case failed != nil && failed.err != errLate:
		return nil, s.unavailable(c, failed)
	}
	return e, err
}

// try makes a call and judges how it went: failed is nil when the server is well.
func (s *Store) try(
	ctx context.Context, c call, timeout time.Duration, bounds *deadline.Source,
) (e *store.Entry, failed *failure, err error) {
	if s.waiting.Add(1) > int64(s.options.MaxWaiting) {
		s.waiting.Add(-1)
		s.counts.crowded.Add(1)
		failed = &failure{kind: store.KindTransient, harmless: true,
			err: fmt.Errorf("%d operations are under way", s.options.MaxWaiting)}
		s.news.mention(crowded, failed)
		return nil, failed, nil
	}
	s.counts.calls.Add(1)
	began := time.Now()
	bounded, cancel := bounds.Within(ctx, began, timeout)
	defer cancel()
	e, err = s.run(bounded, c)
	if answered(err) && time.Since(began) < timeout {
		s.news.well()
		return e, nil, err
	}
	failed = judge(bounded.Err(), err, began, timeout)
	switch {
	case failed == nil:
		s.news.well()
	case failed.left:
		s.counts.left.Add(1)
	default:
		s.counts.failures[failed.kind].Add(1)
		s.news.failed(failed, s.State())
	}
	return e, failed, err
}

// answered reports whether the server said what there is.
func answered(err error) bool { return err == nil || errors.Is(err, store.ErrNotFound) }

// patience is which part of the timeout a caller must have given the server for its own deadline to
// count as the server's failure: callers whose time is nearly up say nothing about the server.
const patience = 10

// judge returns what the end of a call shows about the server: nil when it is well. ended is why
// the call's context is done, if it is. An answer after the deadline is errLate: a failure of the
// server's, and an answer all the same.
func judge(ended, err error, began time.Time, timeout time.Duration) *failure {
	expired := errors.Is(ended, context.DeadlineExceeded)
	if answered(err) {
		if expired && time.Since(began) >= timeout {
			return &failure{kind: store.KindTimeout, err: errLate}
		}
		return nil
	}
	kind := store.KindOf(err)
	switch {
	case int(kind) >= kinds: // of a later version
		kind = store.KindUnknown
	case ended != nil && kind.Sick():
		kind = store.KindTimeout
		if !expired || time.Since(began) < timeout/patience {
			return &failure{kind: kind, err: err, harmless: true, left: true}
		}
	}
	return &failure{kind: kind, err: err,
		harmless: !kind.Sick() || errors.Is(err, store.ErrUnderway) ||
			errors.Is(err, store.ErrOneServer)}
}
