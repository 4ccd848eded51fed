package guardstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/freshet-go/freshet/store"
)

type operation string

const (
	get operation = "get"
	set operation = "set"
	del operation = "delete"

	lock operation = "lock"
)

// call is one operation with what it needs.
type call struct {
	op     operation
	key    string
	entry  *store.Entry
	ttl    time.Duration
	leased *leased // of a lock
}

var (
	errLate    = errors.New("the answer came after the deadline")
	errNothing = errors.New("the store returned neither an entry nor an error")
)

// run makes a call and gives its place among those under way back.
func (s *Store) run(ctx context.Context, c call) (*store.Entry, error) {
	if !s.options.Detached {
		return s.do(ctx, c)
	}
	type answer struct {
		entry *store.Entry
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		e, err := s.do(ctx, c)
		answers <- answer{e, err}
	}()
	select {
	case a := <-answers:
		return a.entry, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Store) do(ctx context.Context, c call) (e *store.Entry, err error) {
	defer func() {
		s.waiting.Add(-1)
		if v := recover(); v != nil {
			e, err = nil, &panicked{v, debug.Stack()}
		}
	}()
	switch c.op {
	case set:
		return nil, s.inner.Set(ctx, c.key, c.entry, c.ttl)
	case del:
		return nil, s.inner.Delete(ctx, c.key)
	case lock:
		return nil, s.lock(ctx, c)
	}
	if e, err = s.inner.Get(ctx, c.key); e == nil && err == nil {
		err = errNothing
	}
	return e, err
}

// panicked is a panic of the inner store as an error. It does not unwrap: a panic is no answer,
// even with store.ErrNotFound.
type panicked struct {
	value any
	stack []byte // for the log
}

func (p *panicked) Error() string { return fmt.Sprintf("the store panicked: %v", p.value) }

// failure is what the end or the refusal of a call shows about the server.
type failure struct {
	kind store.ErrorKind
	err  error
	// says nothing about the server's health: neither failure nor success to the breaker
	harmless bool
	left     bool // the caller gave up
}

// Error makes a failure something to hand to the breaker.
func (f *failure) Error() string { return f.err.Error() }

// unavailable is the cause within the errors that callers see.
type unavailable struct {
	name  string
	cause error
}

func (u *unavailable) Error() string   { return u.name + " is unavailable: " + u.cause.Error() }
func (u *unavailable) Unwrap() []error { return []error{store.ErrUnavailable, u.cause} }

func (s *Store) unavailable(c call, f *failure) error {
	return &store.Error{
		Backend: "guardstore", Op: string(c.op), Key: c.key, Kind: f.kind,
		Err: &unavailable{s.options.Name, f.err},
	}
}
