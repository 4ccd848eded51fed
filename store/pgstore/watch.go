package pgstore

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/pause"
	"github.com/freshet-go/freshet/store/internal/watch"
)

// Watch implements [store.Journal]. The server announces new marks; the watcher looks every second
// besides. With NoStatementCache it looks four times a second. A watcher that is ahead of the journal
// makes it begin anew with a greater number.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return watch.Seq(func(yield watch.Yield) error {
		if j.invalid != nil {
			return j.invalid
		}
		watching, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(j.backend.life, func() { cancel(fault.ErrClosed) })()

		w, err := j.watcher(watching)
		if err == nil {
			defer w.close()
			err = watch.Follow(ctx, from, yield,
				func(from uint64) ([]store.Numbered, uint64, error) {
					return w.look(watching,
						from)
				},
				func(from uint64) error { return w.wait(watching, from) })
		}
		switch {
		case err == nil, ctx.Err() != nil:
			return nil
		case context.Cause(watching) == fault.ErrClosed:
			err = fault.ErrClosed
		}
		return j.backend.fail(ctx, "watch", "", err)
	})
}

// watcher is the connection of one Watch.
type watcher struct {
	journal *journal
	conn    *pgx.Conn
	listen  bool
}

func (j *journal) watcher(ctx context.Context) (*watcher, error) {
	conn, err := pgx.ConnectConfig(ctx, j.backend.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	w := &watcher{journal: j, conn: conn, listen: !j.backend.config.NoStatementCache}
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
	ctx, cancel := within(ctx, w.journal.backend.config.Timeout)
	defer cancel()
	var channel string
	if err := w.conn.QueryRow(ctx, w.journal.backend.sql.channel).Scan(&channel); err != nil {
		return err
	}
	_, err := w.conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize())
	return err
}

// look returns the marks after a number, and the head. The watcher listens already: a mark that is
// appended after it has looked wakes it.
func (w *watcher) look(ctx context.Context, from uint64) ([]store.Numbered, uint64, error) {
	asking, cancel := within(ctx, w.journal.backend.config.Timeout)
	defer cancel()
	var marks []store.Numbered
	var head uint64
	err := w.journal.tellsTimeline(func() (err error) {
		marks, head, err = w.journal.since(asking, w.conn, from)
		if err != nil || head >= from {
			return err
		}
		if err = w.journal.anew(asking, w.conn, from); err == nil {
			marks, head, err = w.journal.since(asking, w.conn, from)
		}
		return err
	})
	if err != nil && asking.Err() != nil && ctx.Err() == nil {
		err = &slowError{w.journal.backend.config.Timeout}
	}
	return marks, head, err
}

// wait returns nil when it is time to look.
func (w *watcher) wait(ctx context.Context, from uint64) error {
	if !w.listen {
		return pause.For(ctx, watch.Every)
	}
	waiting, cancel := context.WithTimeout(ctx, watch.Anyway)
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
		case w.journal.news(n.Payload, from):
			return nil
		}
	}
}

// close ends the connection. One whose answer was not read to its end closes by itself, a little
// later if the server does not answer.
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
