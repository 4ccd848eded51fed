package cdn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Target is a cache in front that can be purged. It is safe for concurrent use.
type Target interface {
	// Name tells the target from others, in logs, in errors and in an Outbox's store. It is the
	// same in all processes and after a restart: "fastly:SU1Z0isxPaozGVKXdv0eY".
	Name() string
	// Purge returns nil when the target has taken all of p. It splits p into calls as large as the
	// target takes, in the order of p, and stops at the first that fails; then the error is an
	// [*Error] that says when to try again, and what is left. What the target cannot do as such
	// becomes the nearest broader purge that it can do, as the target's package says; of a purge
	// with ByRequest it is refused. Purging twice does no harm. An Outbox has two purges at once,
	// of which one has ByRequest.
	Purge(ctx context.Context, p Purge) error
}

// Checker is a Target that can say before it is called that it could not take a purge. An Outbox
// asks it for one name at a time where it refuses several, and leaves out those that it refuses.
type Checker interface {
	// Check returns nil, or an error that says what in p the target can never take, and what is
	// allowed. Several names are fine if each is. With ByRequest that is also what the target would
	// purge more for than is named. It does no I/O.
	Check(p Purge) error
}

// Kind says what can be done about a failed purge.
type Kind uint8

const (
	// KindTemporary: the target, or the way to it, is not well, or is asked too often.
	KindTemporary Kind = iota
	// KindPaced: nothing failed. The target has been called as often as its rate allows.
	KindPaced
	// KindPermanent: the same purge will fail again.
	KindPermanent
	// KindAuthentication: the credentials are wrong, or do not allow this.
	KindAuthentication
)

// String returns the kind in lower case, as errors show it.
func (k Kind) String() string {
	switch k {
	case KindPaced:
		return "paced"
	case KindPermanent:
		return "permanent"
	case KindAuthentication:
		return "authentication"
	}
	return "temporary"
}

// Error is what targets return. Its text has no credentials.
type Error struct {
	Target     string // the target's name
	Kind       Kind
	Status     int           // of the answer; 0: there was none
	RetryAfter time.Duration // what the target wishes, or its rate allows; 0: nothing is known
	Rest       *Purge        // what the target has not taken; nil: all of the purge
	Err        error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cdn: %s: %s error", e.Target, e.Kind)
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d", e.Status)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ", to be tried again after %v", e.RetryAfter)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// asError returns err as an Error of the target's. What is none may pass.
func asError(target string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Target: target, Err: err}
}

// RetryAfter returns how long an answer wishes to be left alone (RFC 9110 section 10.2.3): seconds,
// or a date, which counts from the answer's Date or, without one, from now. 0: it says nothing of
// use.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, until.Sub(now))
}
