package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
)

const pkg = "redisstore"

// fail makes the driver's error of go-redis's.
func fail(ctx context.Context, op, key string, err error) error {
	if ended := whyEnded(ctx, err); ended != nil {
		return &store.Error{Backend: pkg, Op: op, Key: key, Kind: store.Timeout, Err: quoted{ended.Error(), errors.Join(ended, err)}}
	}
	return &store.Error{Backend: pkg, Op: op, Key: key, Kind: kindOf(err), Err: quoted{text(err, key), err}}
}

// refuse makes the driver's error of a call that needs no server to fail.
func refuse(op, key, format string, args ...any) error {
	return &store.Error{Backend: pkg, Op: op, Key: key, Kind: store.Permanent, Err: fmt.Errorf(format, args...)}
}

// whyEnded is the context's reason if the call ended because of it, or nil. A read from a connection gets the
// context's deadline as its own, and may end a moment before the context knows.
func whyEnded(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return errors.Join(ctx.Err(), notTwice(cause, ctx.Err()))
	}
	var timeout net.Error
	if deadline, ok := ctx.Deadline(); ok && errors.As(err, &timeout) && timeout.Timeout() && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

func notTwice(cause, err error) error {
	if cause == err {
		return nil
	}
	return cause
}

// kindOf classifies by the first word of what the server said, which is the protocol's code; what it said
// without a code of its own ("ERR") is about the call.
func kindOf(err error) store.ErrorKind {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return kindWithoutReply(err)
	}
	said := reply.Error()
	code, _, _ := strings.Cut(said, " ")
	switch strings.ToUpper(strings.TrimPrefix(code, "-")) {
	case "NOAUTH", "WRONGPASS", "NOPERM", "DENIED":
		return store.Authentication
	case "LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "OOM", "BUSY", "MISCONF", "NOREPLICAS",
		"MOVED", "ASK", "UNBLOCKED", "EXECABORT", "NOGOODSLAVE", "NOMASTERLINK":
		return store.Transient
	}
	switch {
	case strings.Contains(said, "max number of clients"):
		return store.Transient
	case strings.Contains(said, "AUTH"), strings.Contains(said, "invalid password"):
		return store.Authentication
	case scriptCode(said, "OOM "), scriptCode(said, "READONLY "), scriptCode(said, "MISCONF "):
		return store.Transient // how servers before Redis 7 report what a script ran into
	}
	return store.Permanent
}

func scriptCode(said, code string) bool {
	return strings.HasPrefix(said, "ERR Error running script") && strings.Contains(said, "-"+code)
}

func kindWithoutReply(err error) store.ErrorKind {
	switch {
	case errors.Is(err, redis.ErrPoolTimeout):
		return store.Timeout
	case errors.Is(err, redis.ErrPoolExhausted):
		return store.Transient
	case errors.Is(err, redis.ErrClosed):
		return store.Permanent
	}
	return store.KindOfCause(err)
}

// text is what may be shown of an error: servers quote the arguments of commands that they do not know, and
// go-redis quotes answers that it cannot read, which may be values and keys.
func text(err error, key string) string {
	var reply redis.Error
	var network net.Error
	said := err.Error()
	switch {
	case errors.As(err, &reply):
		said, _, _ = strings.Cut(said, ", with args")
		said = shorten(said)
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted), errors.Is(err, redis.ErrClosed),
		kindWithoutReply(err) != store.Unknown:
	case strings.HasPrefix(said, "redis: all sentinels"), strings.HasPrefix(said, "redis: cannot load cluster"), strings.HasPrefix(said, "redis: cluster has no nodes"):
	case strings.Contains(said, "tls: "), strings.Contains(said, "x509: "):
	default:
		return "the server's answer is not what Redis's protocol allows"
	}
	if key != "" {
		said = strings.ReplaceAll(said, key, "(the key)")
	}
	return said
}

const mostShown = 300

func shorten(said string) string {
	if len(said) > mostShown {
		return said[:mostShown] + "…"
	}
	return said
}

// quoted is an error with a text that is fit to be shown.
type quoted struct {
	text  string
	cause error
}

func (q quoted) Error() string { return q.text }
func (q quoted) Unwrap() error { return q.cause }
