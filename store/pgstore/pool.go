package pgstore

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/internal/deadline"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/underway"
)

// backlog counts the callers that have a connection or want one.
type backlog struct {
	callers     atomic.Int64
	connections int64 // how many callers need not wait
	most        int64 // how many may be there at all; less than 0: any number
}

func (b *backlog) init(connections, waiters int) {
	b.connections, b.most = int64(connections), -1
	if waiters >= 0 {
		b.most = int64(connections + waiters)
	}
}

// enter reports whether the caller has to wait, or returns an error if it may not. A caller without
// an error must leave.
func (b *backlog) enter() (wait bool, err error) {
	n := b.callers.Add(1)
	if b.most >= 0 && n > b.most {
		b.leave()
		return false, &fullError{b.connections, b.most - b.connections}
	}
	return n > b.connections, nil
}

func (b *backlog) leave() { b.callers.Add(-1) }

// fullError says that no more callers may wait. It is transient.
type fullError struct{ connections, waiters int64 }

func (e *fullError) Error() string {
	return fmt.Sprintf("all %d connections are in use, and %d calls wait for one already "+
		"(pool_size, max_overflow, max_backlog)", e.connections, e.waiters)
}

// waitedError says that no connection became free in time.
type waitedError struct{ waited time.Duration }

func (e *waitedError) Error() string {
	return fmt.Sprintf("no connection became free in %v (pool_timeout)", e.waited)
}
func (e *waitedError) Timeout() bool { return true }

// slowError says that the server did not answer in time.
type slowError struct{ waited time.Duration }

func (e *slowError) Error() string { return fmt.Sprintf("no answer in %v (timeout)", e.waited) }
func (e *slowError) Timeout() bool { return true }

// call is one use of a connection. Backend.done ends it.
type call struct {
	conn    *pgxpool.Conn
	ctx     context.Context // for what is asked
	cancel  func()
	timeout time.Duration
	timed   bool // the connection has the deadline
}

// begin takes a connection. Waiting for others to give one back is bounded by PoolTimeout;
// connecting, if need be, and all questions of the call, by timeout.
func (b *Backend) begin(ctx context.Context, timeout time.Duration) (call, error) {
	if b.closed.Load() {
		return call{}, fault.ErrClosed
	}
	wait, err := b.backlog.enter()
	if err != nil {
		return call{}, err
	}
	c := call{timeout: timeout}
	if wait {
		if c.conn, err = b.waitForConn(ctx); err != nil {
			b.backlog.leave()
			return call{}, err
		}
	}
	c.ctx, c.cancel = b.calls.Within(ctx, time.Now(), timeout)
	if c.conn == nil {
		if c.conn, err = b.pool.Acquire(c.ctx); err != nil {
			return call{}, b.done(ctx, &c, err)
		}
	}
	return c, nil
}

// time gives the connection the deadline, where that is all that can end the call, so that pgx need
// not watch ctx. That it does with a timer and a function for each statement.
func (c *call) time() {
	only := deadline.Only(c.ctx)
	if only.Done() != nil {
		return
	}
	end, _ := only.Deadline()
	c.ctx, c.timed = only, true
	c.socket().SetDeadline(end) // fails when the connection is closed: the statement will, too
}

func (c *call) socket() net.Conn { return c.conn.Conn().PgConn().Conn() }

// cut reports whether a call's time was up while its answer was still coming.
func cut(c net.Conn) bool {
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	metered, ok := c.(*underway.Conn)
	return ok && metered.Cut()
}

// metered has pgx's connections count what comes.
func metered(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &underway.Conn{Conn: c}, nil
	}
}

// within is ctx with a deadline that is no later than timeout from now.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= timeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// done gives the connection back, and returns err: why the call failed, if it did.
func (b *Backend) done(ctx context.Context, c *call, err error) error {
	if err != nil && c.ctx.Err() != nil && ctx.Err() == nil {
		err = &slowError{c.timeout}
	}
	if err != nil && c.conn != nil && cut(c.socket()) {
		err = fmt.Errorf("%w: %w", err, store.ErrUnderway)
	}
	if c.conn != nil {
		// pgx is at work on one that has failed, with a deadline of its own
		if c.timed && !c.conn.Conn().IsClosed() {
			c.socket().SetDeadline(time.Time{})
		}
		c.conn.Release()
	}
	c.cancel()
	b.backlog.leave()
	return err
}

func (b *Backend) waitForConn(ctx context.Context) (*pgxpool.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, b.config.PoolTimeout)
	defer cancel()
	conn, err := b.pool.Acquire(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		err = &waitedError{b.config.PoolTimeout}
	}
	return conn, err
}
