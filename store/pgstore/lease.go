package pgstore

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/freshet-go/freshet/store"
)

// leases are those that this process holds.
type leases struct {
	most int // at once
	held atomic.Int64

	mu  sync.Mutex
	all map[*lease]struct{}
}

func (ls *leases) add(l *lease) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.all == nil {
		ls.all = make(map[*lease]struct{})
	}
	ls.all[l] = struct{}{}
}

func (ls *leases) remove(l *lease) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.all, l)
}

// endAll ends the leases that there are.
func (ls *leases) endAll() {
	ls.mu.Lock()
	all := make([]*lease, 0, len(ls.all))
	for l := range ls.all {
		all = append(all, l)
	}
	ls.mu.Unlock()
	for _, l := range all {
		l.expire()
	}
}

// lease is a transaction with an advisory lock, on a connection of its own. The lock goes when the
// transaction ends: by Unlock, by a timer at the end of the lease, by the server a little later
// should this process be stopped, and at once when the connection is lost.
type lease struct {
	backend *Backend
	ends    time.Time
	timer   *time.Timer

	mu   sync.Mutex
	call *call // nil: ended
}

// TryLock implements [store.Locker]. A lease occupies a connection of the pool as long as it is
// held, so this process may hold half as many leases as the pool has connections (pool_size +
// max_overflow); one more is an error at once. A pool of one connection gives out none. A lease
// lasts 24 days at most.
func (b *Backend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if err := driver.CheckLease("lock", name, ttl); err != nil {
		return nil, false, err
	}
	if b.leases.held.Add(1) > int64(b.leases.most) {
		b.leases.held.Add(-1)
		return nil, false, driver.Fail("lock", name, store.KindTransient,
			fmt.Errorf("this process holds %d leases already, "+
				"as many as half of its connections (pool_size, max_overflow)", b.leases.most))
	}
	l, err := b.lock(ctx, name, ttl)
	if l == nil || err != nil {
		b.leases.held.Add(-1)
	}
	if err != nil {
		return nil, false, b.fail(ctx, "lock", name, err)
	}
	if l == nil {
		return nil, false, nil
	}
	return l, true, nil
}

// lock returns nil when somebody else holds the lease.
func (b *Backend) lock(ctx context.Context, name string, ttl time.Duration) (*lease, error) {
	c, err := b.begin(ctx, b.config.Timeout)
	if err != nil {
		return nil, err
	}
	// A transaction that has begun and ends by an error is ended by closing the connection, as it
	// is given back.
	if _, err = c.conn.Exec(c.ctx, "BEGIN"); err != nil {
		return nil, b.done(ctx, &c, err)
	}
	var held bool
	if err = c.conn.QueryRow(c.ctx, b.sql.lease, serverTimeout(ttl), name).Scan(new(string), &held); err != nil {
		return nil, b.done(ctx, &c, err)
	}
	if !held {
		_, err = c.conn.Exec(c.ctx, "ROLLBACK")
		return nil, b.done(ctx, &c, err)
	}
	c.cancel() // what is asked from now on has its own time
	l := &lease{backend: b, call: &c, ends: time.Now().Add(ttl)}
	b.leases.add(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(ttl, l.expire)
	if b.closed.Load() { // it may not have seen this lease
		go l.expire()
	}
	return l, nil
}

// serverTimeout is after how many milliseconds without a word the server ends the transaction by
// itself: a little after the lease's end, so that it does so, and writes it in its log, only for a
// process that cannot do it.
func serverTimeout(ttl time.Duration) string {
	late := min(ttl/10, time.Second) + 50*time.Millisecond
	const most = math.MaxInt32 * time.Millisecond
	if ttl >= most-late {
		return fmt.Sprint(most.Milliseconds())
	}
	return fmt.Sprint((ttl + late + time.Millisecond - 1).Milliseconds())
}

// expire ends the lease in its own time.
func (l *lease) expire() {
	ctx, cancel := context.WithTimeout(context.Background(), l.backend.config.Timeout)
	defer cancel()
	_, _ = l.release(ctx)
}

// Unlock implements [store.Lease]. When it fails the connection is closed, which ends the lease as
// well.
func (l *lease) Unlock(ctx context.Context) (held bool, err error) {
	held, err = l.release(ctx)
	if err != nil {
		return false, l.backend.fail(ctx, "unlock", "", err)
	}
	return held && time.Now().Before(l.ends), nil
}

// release ends the transaction, and reports whether it was still there.
func (l *lease) release(ctx context.Context) (held bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.call == nil {
		return false, nil
	}
	c := l.call
	l.call = nil
	l.timer.Stop()
	asking, cancel := within(ctx, l.backend.config.Timeout)
	defer cancel()
	_, err = c.conn.Exec(asking, "ROLLBACK")
	timedOut := asking.Err() != nil
	c.conn.Release()
	l.backend.backlog.leave()
	l.backend.leases.held.Add(-1)
	l.backend.leases.remove(l)
	switch {
	case err == nil:
		return true, nil
	case timedOut && ctx.Err() == nil:
		return false, &slowError{l.backend.config.Timeout}
	case timedOut || pgconn.Timeout(err):
		return false, err
	}
	return false, nil // somebody had ended the connection, and so the lock
}
