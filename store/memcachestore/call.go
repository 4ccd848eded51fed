package memcachestore

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store/internal/fault"
)

// call calls f to ask the server of key, within the time of ctx. It returns what the server said of
// the item itself as the vendor's client does: memcache.ErrCacheMiss, ErrNotStored and
// ErrCASConflict. Every other error becomes a *store.Error.
//
// A server that restarts leaves dead connections behind. If f met one of them, call calls it again
// with a new connection, unless again is once.
func (b *Backend) call(
	ctx context.Context, op, key string, again repeat, f func(*memcache.Client) error,
) error {
	err := ctx.Err()
	if err == nil {
		err = b.exchange(ctx, again, f)
	}
	switch err {
	case nil, memcache.ErrCacheMiss, memcache.ErrNotStored, memcache.ErrCASConflict:
		return err
	}
	return b.fail(ctx, op, key, b.servers.pick(key), err)
}

// repeat reports whether a call may be made twice.
type repeat bool

const (
	once     repeat = false
	repeated repeat = true
)

func (b *Backend) exchange(
	ctx context.Context, again repeat, f func(*memcache.Client) error,
) error {
	cl := b.pool.begin(ctx)
	if cl == nil {
		return fault.ErrClosed
	}
	err := f(cl.inner)
	if err != nil && again == repeated && hungUp(err) && cl.wasStale() {
		err = f(cl.inner)
	}
	b.pool.release(cl)
	return err
}

// hungUp reports whether the server ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
