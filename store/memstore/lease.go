package memstore

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// leases are the locks that are held. The zero value holds none.
type leases struct {
	mu     sync.Mutex
	held   map[string]*lease
	sweep  int // how many there may be before those that have ended are looked for
	closed bool
}

type lease struct {
	all  *leases
	name string
	ends time.Time
}

const fewLeases = 64

// TryLock implements [store.Locker]. The lease is this process's: nobody else has this memory.
func (b *Backend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (l store.Lease, ok bool, err error) {
	if err := begin(ctx, "lock", name); err != nil {
		return nil, false, err
	}
	if err := driver.CheckLease("lock", name, ttl); err != nil {
		return nil, false, err
	}
	all := &b.leases
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closed {
		return nil, false, fail("lock", name, fault.ErrClosed)
	}
	now := time.Now()
	if other := all.held[name]; other != nil && now.Before(other.ends) {
		return nil, false, nil
	}
	all.forget(now)
	mine := &lease{all: all, name: strings.Clone(name), ends: now.Add(ttl)}
	all.held[mine.name] = mine
	return mine, true, nil
}

// Unlock implements [store.Lease].
func (l *lease) Unlock(ctx context.Context) (held bool, err error) {
	if ctx.Err() != nil {
		return false, fail("unlock", l.name, fault.Ended(ctx, nil))
	}
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	if l.all.held[l.name] != l {
		return false, nil
	}
	delete(l.all.held, l.name)
	return time.Now().Before(l.ends), nil
}

// forget drops the leases that have ended when there are twice as many as after the last time, so
// that names that nobody asks for again do not pile up.
func (l *leases) forget(now time.Time) {
	if l.held == nil {
		l.held, l.sweep = map[string]*lease{}, fewLeases
	}
	if len(l.held) < l.sweep {
		return
	}
	for name, held := range l.held {
		if !now.Before(held.ends) {
			delete(l.held, name)
		}
	}
	l.sweep = max(fewLeases, 2*len(l.held))
}

func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.held = true, nil
}
