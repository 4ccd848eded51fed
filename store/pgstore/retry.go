package pgstore

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ask makes a call, and makes it again, once and within the same time, when the server had ended
// the connection that it met: pgx looks at a connection only after a second of rest, and all are
// dead after a restart. f must bear to be done twice: the server may have carried out what it did
// not answer. A value is set again, a mark is recorded twice, which invalidates again; Delete and
// Expire may say that there was nothing.
//
// In a pool of ours the second connection is a new one. timed says that each statement of f is for
// the connection to bound; see time.
func (b *Backend) ask(
	ctx context.Context, timed bool, f func(context.Context, *pgxpool.Conn) error,
) error {
	timeout := b.config.Timeout
	for again := false; ; again = true {
		c, err := b.begin(ctx, timeout)
		if err != nil {
			return err
		}
		if timed {
			c.time()
		}
		end, bounded := c.ctx.Deadline()
		err = f(c.ctx, c.conn)
		ended := err != nil && b.doubted.heard(c.conn.Conn(), err)
		if err = b.done(ctx, &c, err); !ended || again || ctx.Err() != nil {
			return err
		}
		if bounded {
			timeout = max(time.Until(end), 1)
		}
	}
}

// doubted is until when connections were begun that are not used any more, in nanoseconds since
// start; 0: none. A server that ends one has most likely ended all that are as old.
type doubted struct{ until atomic.Int64 }

var start = time.Now()

func sinceStart() int64 { return int64(time.Since(start)) + 1 }

// begun is under which name a connection keeps when it was begun.
const begun = "freshet: begun"

// mark has a pool's connections know when they were begun, and those that are doubted be left.
func (d *doubted) mark(p *pgxpool.Config) {
	p.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		now, inner := sinceStart(), c.AfterConnect
		c.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
			conn.CustomData()[begun] = now
			if inner != nil {
				return inner(ctx, conn)
			}
			return nil
		}
		return nil
	}
	p.PrepareConn = func(_ context.Context, c *pgx.Conn) (bool, error) {
		until := d.until.Load()
		return until == 0 || begunAt(c) > until, nil
	}
}

func begunAt(c *pgx.Conn) int64 {
	at, _ := c.PgConn().CustomData()[begun].(int64)
	return at
}

// heard reports whether a call failed because the server had ended its connection.
func (d *doubted) heard(c *pgx.Conn, err error) bool {
	if !c.IsClosed() || !endedByServer(err) {
		return false
	}
	// also when it is doubted already: it was well then, and what is newer may have ended with it
	d.until.Store(sinceStart())
	return true
}

func endedByServer(err error) bool {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		switch said.Code {
		case "57P01", "57P02", "57P05": // an administrator's word, a crash, idle_session_timeout
			return true
		}
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
