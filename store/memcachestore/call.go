package memcachestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// call calls f to ask the server of key, within the time of ctx. It returns what the server said of
// the item itself as the vendor's client does: memcache.ErrCacheMiss, ErrNotStored and
// ErrCASConflict. Every other error becomes a *store.Error.
//
// A server that restarts leaves dead connections behind. If f met one of them, call calls it again
// with a new connection, unless again is once. Of several servers, one that refuses connections is
// left out, and the next one for the key is asked.
func (b *Backend) call(
	ctx context.Context, op, key string, again repeat, f func(*memcache.Client) error,
) error {
	b.tryAgain()
	for range b.servers.all {
		s := b.servers.place(key)
		next, err := b.ask(ctx, op, key, nil, again, f)
		if !next || b.servers.place(key) == s {
			return err
		}
	}
	_, err := b.ask(ctx, op, key, nil, again, f)
	return err
}

// callAt is call for a server by itself, whatever the keys. One that is left out it does not ask.
func (b *Backend) callAt(
	ctx context.Context, op, key string, s *server, again repeat, f func(*memcache.Client) error,
) error {
	b.tryAgain()
	if s.health.out.Load() {
		return driver.Fail(op, key, store.KindTransient, fmt.Errorf("server %s: %w", s, errOut))
	}
	_, err := b.ask(ctx, op, key, s, again, f)
	return err
}

var errOut = errors.New("not asked, because it does not answer")

// ask makes an exchange with a server, or with those of the keys if at is nil. It reports whether
// there was no connection to a server that is left out from now on: another one may be asked.
func (b *Backend) ask(
	ctx context.Context, op, key string, at *server, again repeat, f func(*memcache.Client) error,
) (next bool, err error) {
	began := time.Now()
	var silent silence
	if err = ctx.Err(); err == nil {
		silent, err = b.exchange(ctx, at, again, f)
	}
	switch err {
	case nil, memcache.ErrCacheMiss, memcache.ErrNotStored, memcache.ErrCASConflict:
		return false, err
	}
	s := silent.of
	switch {
	case s != nil:
		out := b.unanswered(ctx, s, began, err)
		next = out && silent.unconnected && ctx.Err() == nil
	case at != nil:
		s = at
	default:
		s = b.servers.place(key)
	}
	return next, b.fail(ctx, op, key, s, err)
}

// repeat reports whether a call may be made twice.
type repeat bool

const (
	once     repeat = false
	repeated repeat = true
)

func (b *Backend) exchange(
	ctx context.Context, at *server, again repeat, f func(*memcache.Client) error,
) (silence, error) {
	cl := b.pool.begin(ctx, at)
	if cl == nil {
		return silence{}, fault.ErrClosed
	}
	err := f(cl.inner)
	if err != nil && hungUp(err) && cl.wasStale() && again == repeated {
		err = f(cl.inner)
	}
	silent := cl.silence()
	b.pool.release(cl)
	return silent, err
}

// hungUp reports whether the server ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
