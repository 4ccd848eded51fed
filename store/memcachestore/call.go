package memcachestore

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store/internal/fault"
)

// call calls f to ask the server of key, within the time of ctx. It returns what the server said of
// the item itself as the vendor's client does: memcache.ErrCacheMiss, ErrNotStored and
// ErrCASConflict. Every other error becomes a *store.Error.
//
// A server that restarts leaves dead connections behind. If f met one of them, call calls it again
// with a new connection, unless again is once. Of several servers, one that does not answer is not
// asked.
func (b *Backend) call(
	ctx context.Context, op, key string, again repeat, f func(*memcache.Client) error,
) error {
	return b.callAt(ctx, op, key, nil, again, f)
}

// callAt is call for one server, whatever the keys; nil: the keys choose.
func (b *Backend) callAt(
	ctx context.Context, op, key string, at *server, again repeat,
	f func(*memcache.Client) error,
) error {
	_, err := b.ask(ctx, op, key, at, again, f)
	return err
}

// ask is callAt, and reports whether the server has said nothing, or was not asked for that.
func (b *Backend) ask(
	ctx context.Context, op, key string, at *server, again repeat,
	f func(*memcache.Client) error,
) (nothing bool, err error) {
	var began time.Time
	if b.several() {
		began = time.Now()
	}
	var silent *server
	err = ctx.Err()
	if err == nil {
		silent, err = b.exchange(ctx, at, again, f)
	}
	switch err {
	case nil, memcache.ErrCacheMiss, memcache.ErrNotStored, memcache.ErrCASConflict:
		return false, err
	}
	if silent != nil {
		b.unanswered(ctx, silent, began, err)
		at = silent
	}
	refused, isRefused := errors.AsType[*refusedError](err)
	if isRefused {
		at = refused.server
	}
	if at == nil {
		at = b.servers.pick(key)
	}
	return silent != nil || isRefused, b.fail(ctx, op, key, at, err)
}

// repeat reports whether a call may be made twice.
type repeat bool

const (
	once     repeat = false
	repeated repeat = true
)

// exchange also returns the server that did not answer, if there is one.
func (b *Backend) exchange(
	ctx context.Context, at *server, again repeat, f func(*memcache.Client) error,
) (silent *server, err error) {
	cl := b.pool.begin(ctx, at)
	if cl == nil {
		return nil, fault.ErrClosed
	}
	err = f(cl.inner)
	if err != nil && again == repeated && hungUp(err) && cl.wasStale() {
		err = f(cl.inner)
	}
	if err != nil {
		silent = cl.silentServer()
	}
	b.pool.release(cl)
	return silent, err
}

// hungUp reports whether the server ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
