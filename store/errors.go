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

// ErrUnavailable is the error of a store that did not ask its server, or gave it up, because the
// server is known to be sick. The store has counted and logged the reason, so that its caller need
// do neither.
var ErrUnavailable = errors.New("store: unavailable")

// ErrTooLarge is the error of a value that is larger than the backend takes. Drivers return an
// Error of KindPermanent with it in its chain. The backend then has no value under that key any
// more.
var ErrTooLarge = errors.New("value too large")

// ErrUnderway is in the chain of a timeout that ended an answer of which at least 64 KiB had come:
// the value is long, or the way to the server narrow, and the server is well.
var ErrUnderway = errors.New("the answer was still coming")

// ErrOneServer is in the chain of the error of one of several servers, while others are well. The
// backend stops asking that one by itself, so that no guard need.
var ErrOneServer = errors.New("one of several servers")

// ErrorKind says what a caller can do about an error.
type ErrorKind uint8

const (
	KindUnknown ErrorKind = iota // nobody knows: treat it like KindTransient
	// the server, or the way to it, is not well: a later call may succeed
	KindTransient
	KindPermanent      // the same call will fail again: too large, malformed, not allowed
	KindTimeout        // no answer in time
	KindAuthentication // the credentials are wrong, or do not allow this
)

// String returns the kind in lower case, as errors show it.
func (k ErrorKind) String() string {
	switch k {
	case KindTransient:
		return "transient"
	case KindPermanent:
		return "permanent"
	case KindTimeout:
		return "timeout"
	case KindAuthentication:
		return "authentication"
	}
	return "unknown"
}

// Sick reports whether errors of this kind tell of a server that is not well, so that a breaker
// counts them: all but KindPermanent and KindAuthentication, which are about the call.
func (k ErrorKind) Sick() bool { return k != KindPermanent && k != KindAuthentication }

// Error is what drivers return. Its text begins with the driver's name and the operation, shows at
// most 16 bytes of the key (quoted when they are not plain, so that no key writes lines into a
// log), and no value.
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

// KindOf returns the kind of an error: that of the first Error in its chain, or else one for errors
// of the standard library. Contexts that ended and network timeouts are KindTimeout. Connections
// that were refused, reset or ended early, names that do not resolve, and full disks are
// KindTransient. What is not supported, and values that are too large, are KindPermanent. Any other
// error is KindUnknown, as are nil and ErrNotFound.
func KindOf(err error) ErrorKind {
	var e *Error
	var timeout interface{ Timeout() bool }
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case err == nil:
		return KindUnknown
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.As(err, &timeout) && timeout.Timeout():
		return KindTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE),
		errors.Is(err, syscall.ENOSPC), errors.As(err, &op), errors.As(err, &dns):
		return KindTransient
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, ErrTooLarge):
		return KindPermanent
	}
	return KindUnknown
}
