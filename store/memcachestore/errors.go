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
	"github.com/freshet-go/freshet/store/internal/fault"
)

const driver = fault.Driver("memcachestore")

// fail returns the error of a call that ended with err at a server.
func (b *Backend) fail(ctx context.Context, op, key string, s *server, err error) error {
	if fault.Made(err) {
		return err
	}
	kind, cause := b.judge(ctx, err)
	if kind.Sick() && b.others(s) {
		cause = &oneServerError{cause}
	}
	return driver.Fail(op, key, kind, fmt.Errorf("server %s: %w", s, cause))
}

// judge returns the kind of an error, and what of it may be shown.
func (b *Backend) judge(ctx context.Context, err error) (store.ErrorKind, error) {
	if errors.Is(err, fault.ErrClosed) || b.pool.done.Err() != nil {
		return store.KindPermanent, fault.ErrClosed
	}
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return store.KindTransient, refused
	}
	var late *memcache.ConnectTimeoutError
	if errors.As(err, &late) {
		err = &noConnectionError{b.config.DialTimeout}
	}
	if ended := fault.Ended(ctx, err); ended != nil {
		return store.KindTimeout, ended
	}
	var hint hinted
	switch {
	case late != nil:
		return store.KindTimeout, err
	case errors.Is(err, errBusy):
		return store.KindTransient, err
	case errors.As(err, &hint):
		kind, cause := judgeAnswer(hint.Error())
		return kind, fmt.Errorf("%w: %s", cause, hint.hint)
	}
	kind := store.KindOf(err)
	switch kind {
	case store.KindUnknown:
		return judgeAnswer(err.Error())
	case store.KindTimeout:
		return kind, fmt.Errorf("no answer within %v: %w", b.config.Timeout, err)
	}
	if errors.Is(err, net.ErrClosed) {
		return kind, fault.ErrClosed
	}
	return kind, err
}

// noConnectionError says that no connection was made in time.
type noConnectionError struct{ within time.Duration }

func (e *noConnectionError) Error() string {
	return fmt.Sprintf("no connection within %v", e.within)
}
func (e *noConnectionError) Timeout() bool { return true }

// hinted is an answer of the server, and what the reader can do about it.
type hinted struct {
	error
	hint string
}

// judgeAnswer finds the server's words in the vendor's text about an unexpected answer. Nothing
// else of that text may be shown: it may be a part of a value.
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
	kind := store.KindPermanent
	switch {
	case said == "":
		return store.KindTransient, errors.New("the answer is not what Memcached would say")
	case strings.Contains(said, "too large"):
		return kind, fmt.Errorf("%w: %s: the server's option -I allows no more", store.ErrTooLarge,
			said)
	case strings.Contains(said, "unauthenticated"):
		return store.KindAuthentication, fmt.Errorf("%s: the server wants a password, which this "+
			"client cannot give", said)
	case strings.HasPrefix(said, "SERVER_ERROR"):
		kind = store.KindTransient
	}
	return kind, errors.New(said)
}
