// Package pgreads notes what handlers read from PostgreSQL through pgx v5, and makes their
// responses unusable when it changes, whichever program changes it.
//
// A [Tracer] sees each statement that goes through a pool with the context of a handler's request,
// and notes the tables and rows that it reads, as freshet.Reads does. [Install] adds triggers to
// tables that announce what has changed, and [Tracer.Listen] hears them:
//
//	config, err := pgxpool.ParseConfig(url)
//	tracer := pgreads.New(config.ConnConfig, pgreads.Options{})
//	pool, err := pgxpool.NewWithConfig(ctx, config)
//	go tracer.Listen(ctx, cache)
//
// A Tracer that notes what is read, and whose Listen has not been called 15 seconds after New, says
// so once in Options.Log: no change reaches its pages.
//
// Pass r.Context() to the pool's methods. A query of one table by its primary key is noted by row;
// any other by its tables; and what cannot be read for sure depends on each change that is
// announced. A page may be made unusable too often, and not too seldom: docs/dependencies.md has
// the exceptions.
package pgreads

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// Options say what a Tracer cannot find out by itself. The zero value is fine for a database whose
// queries call no functions of its own that read tables.
type Options struct {
	// Also names the tables that a function, or what a view hides, reads: by its bare name, in
	// lower case unless it was made in quotes, as the tables are. A function that is not IMMUTABLE
	// and is not here may read anything; one that reads no table has none:
	//
	//	Also: map[string][]string{"best_sellers": {"product", "sale"}, "gen_code": nil}
	Also map[string][]string
	// Name is the database's in tags. By default it is that of the connection. Two databases of one
	// cache have two names; their tables of the same name share tags.
	Name string
	// Direct is how Listen connects, where pools go through a proxy that shares connections between
	// transactions, such as PgBouncer, which LISTEN does not work with. Nil: as the pool does.
	Direct *pgx.ConnConfig
	// Log gets what goes wrong; nil: slog.Default().
	Log *slog.Logger

	checkEvery, answerIn time.Duration // 0: the constants
}

// Tracer notes what is read through the connections of a configuration. It implements
// pgx.QueryTracer, pgx.BatchTracer and pgx.PrepareTracer, and is safe for concurrent use.
type Tracer struct {
	options Options
	config  *pgx.ConnConfig // for Listen
	name    string
	log     *slog.Logger

	catalog   atomic.Pointer[catalog] // nil until Listen has read it
	listening atomic.Bool             // Listen has been called
	touch     atomic.Bool             // ... and hears the database
	warned    sync.Map                // names of tables
	deaf      sync.Once               // says that Listen has not been called
	begun     time.Time
}

var (
	_ pgx.QueryTracer   = (*Tracer)(nil)
	_ pgx.BatchTracer   = (*Tracer)(nil)
	_ pgx.PrepareTracer = (*Tracer)(nil)
)

// New returns a Tracer and has the connections of config tell it of each statement, beside the
// tracer that config has. Call it before you make the pool or the connection. It connects to
// nothing.
func New(config *pgx.ConnConfig, o Options) *Tracer {
	o.checkEvery, o.answerIn = cmp.Or(o.checkEvery, checkEvery), cmp.Or(o.answerIn, answerIn)
	t := &Tracer{options: o, name: o.Name, log: o.Log, begun: time.Now()}
	direct := config
	if o.Direct != nil {
		direct = o.Direct
	}
	t.config = direct.Copy()
	t.config.Tracer = nil
	if t.name == "" {
		t.name = config.Database
	}
	if t.log == nil {
		t.log = slog.Default()
	}
	if config.Tracer == nil {
		config.Tracer = t
	} else {
		config.Tracer = multitracer.New(config.Tracer, t)
	}
	return t
}

type ignoredKey struct{}

// Ignore returns a context for statements that no response depends on: a counter of visits, say.
func Ignore(ctx context.Context) context.Context {
	return context.WithValue(ctx, ignoredKey{}, true)
}

// TraceQueryStart notes what Query, QueryRow or Exec reads.
func (t *Tracer) TraceQueryStart(
	ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData,
) context.Context {
	if said := t.said(ctx); said != nil {
		t.note(ctx, said, conn, data.SQL, data.Args)
	}
	return ctx
}

// TraceBatchStart notes what the statements of SendBatch read.
func (t *Tracer) TraceBatchStart(
	ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData,
) context.Context {
	if said := t.said(ctx); said != nil && data.Batch != nil {
		for _, q := range data.Batch.QueuedQueries {
			t.note(ctx, said, conn, q.SQL, q.Arguments)
		}
	}
	return ctx
}

// prepared is where a connection has the texts of statements that go by a name.
const prepared = "freshet/pgreads"

// preparing is the key, in a context, of the pgx.TracePrepareStartData of a statement.
type preparing struct{}

// pgxOwn begins the names that pgx gives to the statements of its cache, which no query goes by.
const pgxOwn = "stmtcache_"

// TracePrepareStart keeps the text of a statement that later goes by its name alone, for
// TracePrepareEnd.
func (t *Tracer) TracePrepareStart(
	ctx context.Context, _ *pgx.Conn, data pgx.TracePrepareStartData,
) context.Context {
	if data.Name == "" || data.Name == data.SQL || strings.HasPrefix(data.Name, pgxOwn) {
		return ctx
	}
	return context.WithValue(ctx, preparing{}, data)
}

// TraceQueryEnd does nothing.
func (t *Tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchQuery does nothing.
func (t *Tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd does nothing.
func (t *Tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TracePrepareEnd remembers the text of a statement that goes by its name from now on. Where
// PostgreSQL refused it, as a second one of that name, the name still means the first.
func (t *Tracer) TracePrepareEnd(ctx context.Context, conn *pgx.Conn, end pgx.TracePrepareEndData) {
	begun, ok := ctx.Value(preparing{}).(pgx.TracePrepareStartData)
	if !ok || end.Err != nil {
		return
	}
	names, ok := conn.PgConn().CustomData()[prepared].(map[string]string)
	if !ok {
		names = make(map[string]string)
		conn.PgConn().CustomData()[prepared] = names
	}
	names[begun.Name] = begun.SQL
}

// said returns what depends on the statements of a context, or nil.
func (t *Tracer) said(ctx context.Context) *middleware.Response {
	if ctx.Value(ignoredKey{}) != nil {
		return nil
	}
	return middleware.FromContext(ctx)
}

// note notes what a statement is going to read.
func (t *Tracer) note(
	ctx context.Context, said *middleware.Response, conn *pgx.Conn, sql string, args []any,
) {
	said.Tag(policy.DatabaseTag(t.name))
	switch {
	case !t.listening.Load():
		t.warnDeaf()
	case !t.touch.Load():
		said.NoStore() // its changes would go unheard
	}
	names, _ := conn.PgConn().CustomData()[prepared].(map[string]string)
	if text, ok := names[sql]; ok {
		sql = text
	}
	sql, args, ok := rewritten(ctx, conn, sql, args)
	c := t.catalog.Load()
	if !ok || c == nil || conn.PgConn().ParameterStatus("standard_conforming_strings") == "off" {
		said.Tag(policy.EachTableTag(t.name))
		return
	}
	p := c.plan(sql, t.options.Also)
	t.warn(p.silent)
	if p.unread {
		said.Tag(policy.EachTableTag(t.name))
	}
	if keys := p.keys(args); len(p.key) > 0 && keys != nil {
		for _, key := range keys {
			said.Reads(p.tables[0], key...)
		}
		return
	}
	for _, table := range p.tables {
		said.Reads(table)
	}
}

// rewritten returns a statement as pgx sends it, without the options among its arguments. It is
// false of one that a rewriter of the app's own may make into another.
func rewritten(
	ctx context.Context, conn *pgx.Conn, sql string, args []any,
) (text string, rest []any, ok bool) {
	for len(args) > 0 {
		switch option := args[0].(type) {
		case pgx.QueryResultFormats, pgx.QueryResultFormatsByOID, pgx.QueryExecMode:
			args = args[1:]
		case pgx.NamedArgs:
			text, rest, err := option.RewriteQuery(ctx, conn, sql, args[1:])
			return text, rest, err == nil
		case pgx.StrictNamedArgs:
			text, rest, err := option.RewriteQuery(ctx, conn, sql, args[1:])
			return text, rest, err == nil
		case pgx.QueryRewriter:
			return sql, args, false
		default:
			return sql, args, true
		}
	}
	return sql, nil, true
}

// warnDeaf says once that Listen has not been called, when an app has had the time to.
func (t *Tracer) warnDeaf() {
	if time.Since(t.begun) < t.options.checkEvery {
		return
	}
	t.deaf.Do(func() {
		t.log.Warn("freshet: pages read from the database through a Tracer whose Listen has not been "+
			"called: no change there reaches them, and they are stored until their lifetime ends: "+
			"call go tracer.Listen(ctx, cache) in each process", "database", t.name)
	})
}

// warn tells once of each table that nothing announces the changes of.
func (t *Tracer) warn(silent []string) {
	for _, table := range silent {
		if _, before := t.warned.LoadOrStore(table, true); !before {
			t.log.Warn("freshet: a page reads what no trigger announces the changes of, so that "+
				"it is stored until its lifetime ends: run freshet migrate --dependencies for a "+
				"table; after the refresh of a materialized view, and for what is no table of "+
				"this server, call InvalidateTable", "database", t.name, "table", table)
		}
	}
}
