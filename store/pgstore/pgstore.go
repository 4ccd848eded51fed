// Package pgstore keeps values in a table of a PostgreSQL server, version 12 or later, through pgx.
package pgstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/internal/deadline"
	"github.com/freshet-go/freshet/store"
)

// Backend keeps values in a table. It is safe for concurrent use.
//
// Reads do not write, so that they cost the server one look at an index and a page. They return no
// expired values, which a sweep removes. Times are the server's own. A value may have 256 MiB.
//
// Migrate makes the table, or an administrator does with the file schema.sql of this package. From
// then on the role needs no more than SELECT, INSERT, UPDATE and DELETE.
type Backend struct {
	config Config
	pool   *pgxpool.Pool
	ours   bool // the pool, to be closed
	sql    statements
	server string // for people

	journalSQL atomic.Pointer[statements] // sql, or without what the server does not tell
	backlog    backlog
	calls      deadline.Source
	doubted    *doubted

	maxValue int // bytes

	life   context.Context // done when Close is called
	end    context.CancelFunc
	closed atomic.Bool
	work   sync.WaitGroup // the sweep

	swept swept
}

var (
	_ store.Backend   = (*Backend)(nil)
	_ store.TTLer     = (*Backend)(nil)
	_ store.Expirer   = (*Backend)(nil)
	_ store.Flusher   = (*Backend)(nil)
	_ store.Lister    = (*Backend)(nil)
	_ store.Migrator  = (*Backend)(nil)
	_ store.Locker    = (*Backend)(nil)
	_ store.Journaler = (*Backend)(nil)

	_ store.ValueLimited = (*Backend)(nil)
)

// New returns a Backend for the server that c names. It asks no server, which may be away or have
// no tables yet: it fails only when c is not allowed. Health reports whether the server answers and
// has the tables; Migrate creates them.
func New(c Config) (*Backend, error) {
	c, err := c.check()
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	p, err := c.poolConfig()
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	d := new(doubted)
	d.mark(p)
	pool, err := pgxpool.NewWithConfig(context.Background(), p)
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	return newBackend(c, pool, d), nil
}

// NewFrom returns a Backend that uses a pool of the caller's, who closes it after the Backend. Of c
// it takes MaxBacklog, PoolTimeout, Timeout, Table, Unlogged, Sweep and NoStatementCache, which
// must be set when the pool's DefaultQueryExecMode keeps no statements. It asks no server.
func NewFrom(pool *pgxpool.Pool, c Config) (*Backend, error) {
	c, err := c.check()
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	return newBackend(c, pool, nil), nil
}

// newBackend takes d for a pool that is ours.
func newBackend(c Config, pool *pgxpool.Pool, d *doubted) *Backend {
	p := pool.Config()
	b := &Backend{
		config: c, pool: pool, ours: d != nil, doubted: d, sql: statementsFor(c.Table, timeline),
		server: where(p.ConnConfig), maxValue: maxValue,
	}
	b.journalSQL.Store(&b.sql)
	if d == nil {
		b.doubted = new(doubted)
	}
	b.backlog.init(int(p.MaxConns), c.backlog())
	b.life, b.end = context.WithCancel(context.Background())
	if c.Sweep > 0 {
		b.work.Go(func() { b.sweepAll(b.life) })
	}
	return b
}

// Close ends all that the Backend does: watches end with an error, calls fail.
// It waits for calls under way and for connections to end, with a server that does not answer up to
// 15 seconds.
func (b *Backend) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	b.end()
	b.work.Wait()
	if b.ours {
		b.pool.Close()
	}
	return nil
}
