// Package fault makes the errors that drivers return: each is a *[store.Error] that begins with the
// driver's name and the operation.
package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// ErrClosed says that a backend was closed before the call. It is an os.ErrClosed, too.
var ErrClosed = As("the backend is closed", os.ErrClosed)

// Driver is the name of a driver's package. Its methods make that driver's errors.
type Driver string

// Fail returns the error of a call that ended with err: of that kind, or err itself where a
// *store.Error is in its chain already. It returns nil if err is nil.
func (d Driver) Fail(op, key string, kind store.ErrorKind, err error) error {
	if err == nil || Made(err) {
		return err
	}
	return &store.Error{Backend: string(d), Op: op, Key: key, Kind: kind, Err: err}
}

// Made reports whether a *store.Error is in the chain of err.
func Made(err error) bool {
	var e *store.Error
	return errors.As(err, &e)
}

// Refuse returns the Permanent error of a call that would fail each time. Its arguments are those
// of fmt.Errorf.
func (d Driver) Refuse(op, key, format string, args ...any) error {
	return &store.Error{
		Backend: string(d), Op: op, Key: key, Kind: store.KindPermanent, Err: fmt.Errorf(format,
			args...),
	}
}

// CheckKey refuses a key that no Store sends; see [store.CheckKey].
func (d Driver) CheckKey(op, key string) error {
	if err := keys.Check(key); err != nil {
		return d.Refuse(op, key, "%w", err)
	}
	return nil
}

// CheckPrefix refuses the prefix of a journal that is neither empty nor the beginning of a key.
func (d Driver) CheckPrefix(op, prefix string) error {
	if err := keys.CheckPrefix(prefix); err != nil {
		return d.Refuse(op, prefix, "%w", err)
	}
	return nil
}

// CheckFlush refuses a flush of everything: a server may hold what is none of ours.
func (d Driver) CheckFlush(prefix string) error {
	if prefix == "" {
		return d.Refuse("flush", "", "a prefix is needed: the server may hold what is not ours")
	}
	return nil
}

// CheckLease refuses a lease whose name is not allowed, or whose lifetime is not more than 0.
func (d Driver) CheckLease(op, name string, ttl time.Duration) error {
	if err := d.CheckKey(op, name); err != nil {
		return err
	}
	if ttl <= 0 {
		return d.Refuse(op, name, "a lease for %v; more than 0 is allowed", ttl)
	}
	return nil
}

// CheckMarks refuses marks that no journal accepts.
func (d Driver) CheckMarks(op, prefix string, what []store.Mark) error {
	for _, m := range what {
		if err := m.Validate(); err != nil {
			return d.Refuse(op, prefix, "%w", err)
		}
	}
	return nil
}

// CheckMember refuses a member that no journal accepts.
func (d Driver) CheckMember(prefix string, m store.Member) error {
	if err := m.Validate(); err != nil {
		return d.Refuse("renew", prefix, "%w", err)
	}
	return nil
}

// Full returns the error of a member that joins a journal which has as many as it can have.
func (d Driver) Full(prefix string, most int) error {
	return d.Refuse("renew", prefix, "the journal has %d members already, the most that it can "+
		"have; those that ended leave the list %v after they renewed last", most, store.LeaseTime)
}

// Ended returns why ctx ended a call that failed with err: the error of ctx, with its cause where
// that says more. It returns nil if ctx did not end the call. A connection has the deadline of ctx
// as its own, and may time out a moment before ctx is done: that is the deadline, too. What matches
// store.ErrUnderway still does.
func Ended(ctx context.Context, err error) error {
	ended := ctx.Err()
	if cause := context.Cause(ctx); cause != ended {
		ended = fmt.Errorf("%w: %w", ended, cause)
	}
	if ended == nil && err != nil {
		end, ok := ctx.Deadline()
		if ok && store.KindOf(err) == store.KindTimeout && !time.Now().Before(end) {
			ended = context.DeadlineExceeded
		}
	}
	if ended != nil && errors.Is(err, store.ErrUnderway) {
		ended = fmt.Errorf("%w: %w", ended, store.ErrUnderway)
	}
	return ended
}

// As returns an error with another text than that of its cause: one that may be shown.
func As(text string, cause error) error { return &shown{text, cause} }

type shown struct {
	text  string
	cause error
}

func (s *shown) Error() string { return s.text }
func (s *shown) Unwrap() error { return s.cause }
