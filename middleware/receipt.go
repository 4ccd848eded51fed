package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/follower"
	"github.com/freshet-go/freshet/store"
)

// Receipt is what an invalidation leaves behind. It is a small value that may be compared and
// copied.
type Receipt struct {
	// Number is the number that the journal gave the invalidation; of several marks, the last
	// one's. Every entry of a handler's run that began under a smaller number is covered. 0: the
	// journal did not take it yet, or at all.
	Number uint64

	of   *follower.Follower
	held uint64 // of a Number of 0: how many marks the journal had not taken by then

	ahead *ahead // see WaitInFront
}

// Wait returns nil once every live process that uses the journal has applied the invalidation, so
// that none of them serves what it covers. Processes with [Options.ReadOnly] are not counted, since
// they may not write. A process that has not been heard for [store.LeaseTime] (30 seconds) uses
// nothing that is stored, and is not waited for: as long as the journal answers, Wait ends in little
// more than that.
//
// When ctx ends first, the error is a [*BehindError]. With an invalidation that the journal did not
// take yet ([ErrUnsent]), Wait waits for that, too. Of a Cache whose journal no other process
// shares, it returns nil at once; where the journal keeps no list of its processes, an error that
// errors.Is finds to be errors.ErrUnsupported; and of a Cache that only reads, [ErrReadOnly]. It is
// safe for concurrent use.
func (r Receipt) Wait(ctx context.Context) error {
	if r.of == nil {
		return errors.New("freshet: Receipt.Wait: the receipt is of no invalidation: wait for one " +
			"that a call without an error returned, or one with ErrUnsent")
	}
	behind, err := r.of.WaitFor(ctx, r.Number, r.held)
	switch {
	case err == nil:
		return nil
	case behind == nil:
		return fmt.Errorf("freshet: Receipt.Wait: %w", err)
	}
	return &BehindError{behind.Number, behind.Members, err}
}

// receipt returns the receipt of marks that were appended with these results.
func (c *Cache) receipt(number uint64, err error) Receipt {
	switch {
	case err == nil:
		return Receipt{Number: number, of: c.journal}
	case errors.Is(err, ErrUnsent):
		return Receipt{of: c.journal, held: c.journal.Held()}
	case errors.Is(err, ErrReadOnly):
		return Receipt{of: c.journal}
	}
	return Receipt{}
}

// BehindError is the error of [Receipt.Wait] when its context ended first. It says which processes
// had not applied the invalidation by then.
type BehindError struct {
	// Number is the invalidation's number. 0: the journal has not taken it.
	Number uint64
	// Members are those that are not known to have applied it, those that were heard longest ago
	// first: Applied is up to where they had, and Age how long ago they renewed their membership.
	// Empty: the journal has not taken the invalidation, or does not say who follows it, or has just
	// begun anew.
	Members []store.Member
	// Err is the error of the context, joined with the journal's if that has failed, and with
	// [ErrUnsent] if it has not taken the invalidation.
	Err error
}

// maxNamed is how many members the text of a BehindError names.
const maxNamed = 10

// Error names the first ten members.
func (e *BehindError) Error() string {
	b := []byte("freshet: Receipt.Wait: ")
	switch n := len(e.Members); {
	case n == 0 && e.Number == 0:
		b = append(b, "the journal has not taken the invalidation yet"...)
	case n == 0:
		b = fmt.Appendf(b, "the journal does not say who has applied number %d", e.Number)
	case n == 1:
		b = fmt.Appendf(b, "1 process has not applied number %d: ", e.Number)
	default:
		b = fmt.Appendf(b, "%d processes have not applied number %d: ", n, e.Number)
	}
	for i, m := range e.Members {
		if i == maxNamed {
			b = fmt.Appendf(b, " and %d others", len(e.Members)-i)
			break
		}
		if i > 0 {
			b = append(b, ", "...)
		}
		b = fmt.Appendf(b, "%s (at %d, heard %v ago)", cmp.Or(m.Name, m.ID), m.Applied,
			m.Age.Round(time.Millisecond))
	}
	return string(b) + ": " + strings.ReplaceAll(e.Err.Error(), "\n", "; ")
}

// Unwrap returns Err.
func (e *BehindError) Unwrap() error { return e.Err }
