package guardstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// TryLock implements [store.Locker], within Options.Timeout. The error is one that errors.Is finds to
// be errors.ErrUnsupported where the inner store has no leases.
func (s *Store) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	var taken leased
	_, err := s.guard(ctx, call{op: lock, key: name, ttl: ttl, leased: &taken},
		s.options.Timeout, &s.short)
	l, lacks := taken.end()
	if err != nil || lacks != nil {
		return nil, false, errors.Join(err, lacks)
	}
	return l, l != nil, nil
}

// leased is a lease on its way to a caller who may have left.
type leased struct {
	mu    sync.Mutex
	lease store.Lease
	lacks error // the store has no leases
	left  bool
}

// give hands the lease over, and reports whether the caller is still there.
func (l *leased) give(lease store.Lease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.left {
		l.lease = lease
	}
	return !l.left
}

// end returns what has come until now; a lease that comes later is given back.
func (l *leased) end() (store.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = true
	return l.lease, l.lacks
}

// lock takes a lease, and gives one back for which nobody waits any more. That there are none says
// nothing of the server.
func (s *Store) lock(ctx context.Context, c call) error {
	locker, has := store.As[store.Locker](s.inner)
	if !has {
		c.leased.without(&store.Error{Backend: "guardstore", Op: string(lock),
			Kind: store.KindPermanent,
			Err:  fmt.Errorf("store %T has no leases: %w", s.inner, errors.ErrUnsupported)})
		return nil
	}
	l, ok, err := locker.TryLock(ctx, c.key, c.ttl)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		c.leased.without(err)
		return nil
	case err == nil && ok && !c.leased.give(l):
		_, err = l.Unlock(context.WithoutCancel(ctx))
	}
	return err
}

func (l *leased) without(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.left {
		l.lacks = err
	}
}
