package pgstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// How often a watcher looks without having been told anything: with notifications it is to notice that they have
// ceased; without, it is how late marks come.
const (
	lookAnyway = time.Second
	poll       = 250 * time.Millisecond
)

// Watch implements [store.Journal]. The server tells of new marks; the watcher looks every second besides. With
// StatementCache off it looks four times a second.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		if j.invalid != nil {
			yield(store.Numbered{}, j.invalid)
			return
		}
		watching, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(j.b.life, func() { cancel(fault.ErrClosed) })()

		w, err := j.watcher(watching)
		if err == nil {
			defer w.close()
			err = w.follow(watching, from, yield)
		}
		switch {
		case ctx.Err() != nil || err == errStopped:
		case context.Cause(watching) == fault.ErrClosed:
			yield(store.Numbered{}, j.b.fail(ctx, "watch", "", fault.ErrClosed))
		default:
			yield(store.Numbered{}, j.b.fail(ctx, "watch", "", err))
		}
	}
}

// watcher is a connection that a Watch has for itself.
type watcher struct {
	j      *journal
	conn   *pgx.Conn
	listen bool
}

func (j *journal) watcher(ctx context.Context) (*watcher, error) {
	conn, err := pgx.ConnectConfig(ctx, j.b.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	w := &watcher{j: j, conn: conn, listen: *j.b.config.StatementCache}
	if err := w.start(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *watcher) start(ctx context.Context) error {
	if !w.listen {
		return nil
	}
	ctx, cancel := within(ctx, w.j.b.config.Timeout)
	defer cancel()
	var channel string
	if err := w.conn.QueryRow(ctx, w.j.b.sql.channel).Scan(&channel); err != nil {
		return err
	}
	_, err := w.conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize())
	return err
}

// follow yields what is new until that is no longer wanted or fails. It listens already: what is appended after it
// has looked wakes it.
func (w *watcher) follow(ctx context.Context, from uint64, yield func(store.Numbered, error) bool) error {
	for {
		marks, head, err := w.look(ctx, from)
		if err != nil {
			return err
		}
		if head < from {
			return fmt.Errorf("the journal's newest number is %d, and was %d: it was lost, and has begun anew in the past", head, from)
		}
		for _, m := range marks {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !yield(m, nil) {
				return errStopped
			}
			from = m.Number
		}
		if err := w.wait(ctx, from); err != nil {
			return err
		}
	}
}

// errStopped says that the loop over a Watch was left.
var errStopped = errors.New("stopped")

func (w *watcher) look(ctx context.Context, from uint64) ([]store.Numbered, uint64, error) {
	asking, cancel := within(ctx, w.j.b.config.Timeout)
	defer cancel()
	marks, head, err := w.j.since(asking, w.conn, from)
	if err != nil && asking.Err() != nil && ctx.Err() == nil {
		err = &slowError{w.j.b.config.Timeout}
	}
	return marks, head, err
}

// wait returns nil when it is time to look.
func (w *watcher) wait(ctx context.Context, from uint64) error {
	if !w.listen {
		select {
		case <-time.After(poll):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	waiting, cancel := context.WithTimeout(ctx, lookAnyway)
	defer cancel()
	for {
		n, err := w.conn.WaitForNotification(waiting)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && waiting.Err() != nil && !w.conn.IsClosed():
			return nil
		case err != nil:
			return err
		case w.j.news(n.Payload, from):
			return nil
		}
	}
}

// close ends the connection. One that was left in the middle of an answer ends by itself, a little later when the
// server does not answer.
func (w *watcher) close() {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = w.conn.Close(ctx)
	select {
	case <-w.conn.PgConn().CleanupDone():
	case <-ctx.Done():
	}
}
