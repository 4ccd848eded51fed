package memcachestore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
)

var errClosed = errors.New("the backend is closed")

// isError tells a store.Error from what the client says of an item.
func isError(err error) bool {
	var e *store.Error
	return errors.As(err, &e)
}

// refuse is the error of a call that no server was asked for.
func (b *Backend) refuse(op, key, format string, a ...any) error {
	return &store.Error{Backend: name, Op: op, Key: key, Kind: store.Permanent, Err: fmt.Errorf(format, a...)}
}

// failed is the error of a call that ended with err at a server.
func (b *Backend) failed(ctx context.Context, op, key string, s *server, err error) error {
	if isError(err) {
		return err
	}
	kind, cause := b.judge(ctx, err)
	return &store.Error{Backend: name, Op: op, Key: key, Kind: kind, Err: fmt.Errorf("server %s: %w", s, cause)}
}

// judge tells the kind of an error, and what of it may be shown.
func (b *Backend) judge(ctx context.Context, err error) (store.ErrorKind, error) {
	var late *memcache.ConnectTimeoutError
	var hint hinted
	switch {
	case errors.Is(err, errClosed), b.lanes.done.Err() != nil:
		return store.Permanent, errClosed
	case ctx.Err() != nil:
		return store.Timeout, fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
	case passed(ctx) && (errors.As(err, &late) || store.KindOfCause(err) == store.Timeout):
		return store.Timeout, context.DeadlineExceeded // the context's own timer is a little late
	case errors.As(err, &late):
		return store.Timeout, fmt.Errorf("no connection within %v", b.config.DialTimeout)
	case errors.Is(err, errBusy):
		return store.Transient, err
	case errors.As(err, &hint):
		kind, cause := judgeAnswer(hint.Error())
		return kind, fmt.Errorf("%w: %s", cause, hint.hint)
	}
	kind := store.KindOfCause(err)
	switch kind {
	case store.Unknown:
		return judgeAnswer(err.Error())
	case store.Timeout:
		return kind, fmt.Errorf("no answer within %v: %w", b.config.Timeout, err)
	}
	if errors.Is(err, net.ErrClosed) {
		return kind, errClosed
	}
	return kind, err
}

// passed tells whether ctx's deadline has come.
func passed(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && !time.Now().Before(end)
}

// hinted is an answer of the server with what the reader can do about it.
type hinted struct {
	error
	hint string
}

// judgeAnswer finds the server's words in what the client says of an answer that it did not expect. Nothing
// else of it may be shown: it may be a part of a value.
func judgeAnswer(text string) (store.ErrorKind, error) {
	said := ""
	for _, word := range []string{"SERVER_ERROR", "CLIENT_ERROR", "ERROR"} {
		if _, after, ok := strings.Cut(text, `"`+word); ok {
			said = word + after
			break
		}
	}
	if after, ok := strings.CutPrefix(text, "memcache: client error: "); ok {
		said = "CLIENT_ERROR " + after
	}
	if end := strings.IndexAny(said, "\\\"\r\n"); end >= 0 {
		said = said[:end]
	}
	said = said[:min(len(said), 80)]
	kind := store.Permanent
	switch {
	case said == "":
		return store.Transient, errors.New("the answer is not what Memcached would say")
	case strings.Contains(said, "too large"):
		return kind, fmt.Errorf("%w: %s: the server's option -I allows no more", store.ErrTooLarge, said)
	case strings.Contains(said, "unauthenticated"):
		return store.Authentication, fmt.Errorf("%s: the server wants a password, which this client cannot give", said)
	case strings.HasPrefix(said, "SERVER_ERROR"):
		kind = store.Transient
	}
	return kind, errors.New(said)
}
