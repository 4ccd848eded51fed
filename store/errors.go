package store

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// ErrUnavailable says that a store was not asked, or did not answer, because it is known to be sick.
// Whoever returns it has counted and logged the reason, so that its caller need do neither.
var ErrUnavailable = errors.New("store: unavailable")

// ErrTooLarge says that a value is more than a backend takes. Drivers have it in the chain of a Permanent
// Error; the backend then has no value under that key any more.
var ErrTooLarge = errors.New("value too large")

// ErrUnsupported says that a backend lacks an ability.
var ErrUnsupported = errors.ErrUnsupported

// ErrorKind says what a caller can do about an error.
type ErrorKind uint8

const (
	Unknown        ErrorKind = iota // nobody knows: treat it like Transient
	Transient                       // the server or the way to it is not well: it may be better later
	Permanent                       // the same call will fail again: too large, malformed, not allowed
	Timeout                         // no answer in time
	Authentication                  // the credentials are wrong, or do not allow this
)

func (k ErrorKind) String() string {
	switch k {
	case Transient:
		return "transient"
	case Permanent:
		return "permanent"
	case Timeout:
		return "timeout"
	case Authentication:
		return "authentication"
	}
	return "unknown"
}

// Sick reports whether errors of this kind tell of a server that is not well, so that a breaker counts
// them: all but Permanent and Authentication, which are about the call and not about the server.
func (k ErrorKind) Sick() bool { return k != Permanent && k != Authentication }

// Error is what drivers return. Its text begins with the driver's name and the operation, shows at most
// 16 bytes of the key (quoted when they are not plain, so that no key writes lines into a log), and no
// value.
type Error struct {
	Backend string // the package: "redisstore"
	Op      string // the operation, in lower case: "get"
	Key     string // may be empty
	Kind    ErrorKind
	Err     error // the cause; its text must not hold a password or a value
}

const keyShown = 16

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Backend + ": " + e.Op)
	if e.Key != "" {
		b.WriteString(" " + shown(e.Key))
	}
	b.WriteString(": " + e.Kind.String() + " error")
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// shown is the key as an error shows it.
func shown(key string) string {
	rest := ""
	if len(key) > keyShown {
		key, rest = key[:keyShown], "…"
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return strconv.Quote(key) + rest
		}
	}
	return key + rest
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf tells the kind of any error: what an Error in its chain says, or what can be told of errors of
// the standard library. Of nil and of ErrNotFound, which are no errors of the store, it tells Unknown.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindOfCause(err)
}

// KindOfCause classifies errors of the standard library, for drivers to begin with: contexts that ended
// and network timeouts are Timeout; refused, reset and unexpectedly ended connections, names that do not resolve
// and full disks are Transient; what is not supported, and too large values, are Permanent.
func KindOfCause(err error) ErrorKind {
	var timeout interface{ Timeout() bool }
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case err == nil:
		return Unknown
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.As(err, &timeout) && timeout.Timeout():
		return Timeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, syscall.ENOSPC), errors.As(err, &op), errors.As(err, &dns):
		return Transient
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrTooLarge):
		return Permanent
	}
	return Unknown
}
