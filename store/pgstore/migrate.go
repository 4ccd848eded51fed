package pgstore

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed schema.sql
var schema string

// version is the version of the schema that this package knows. It is in the tables' comments.
const version = 1

var versionIn = regexp.MustCompile(`schema version (\d+)`)

// newer refuses tables that a later version of this package has changed.
func newer(comment string) error {
	found := versionIn.FindStringSubmatch(comment)
	if found == nil {
		return nil // somebody has written a comment of their own
	}
	if n, err := strconv.Atoi(found[1]); err != nil || n > version {
		return unfit("the tables have schema version %s, and this program knows %d; update it",
			found[1], version)
	}
	return nil
}

// step is a part of schema.sql.
type step struct {
	what   string // "create the table freshet_cache"
	makes  string // the table or index; the step is needed when there is none
	script string
}

var makes = regexp.MustCompile(`(?m)^CREATE (?:UNLOGGED )?(?:TABLE|INDEX) IF NOT EXISTS (\w+)`)

var ourNames = regexp.MustCompile(`\bfreshet_cache(\w*)`)

// steps takes schema.sql apart, for the table and the kind of table that are wanted.
func (c Config) steps() []step {
	name := c.Table[strings.IndexByte(c.Table, '.')+1:]
	script := schema
	if c.Unlogged {
		const create = "TABLE IF NOT EXISTS " + defaultTable + " ("
		script = strings.Replace(script, "CREATE "+create, "CREATE UNLOGGED "+create, 1)
	}
	var all []step
	for _, part := range strings.Split(script, "\n-- step: ")[1:] {
		what, script, _ := strings.Cut(part, "\n")
		all = append(all, step{
			what:   ourNames.ReplaceAllString(what, name+"$1"),
			makes:  ourNames.ReplaceAllString(makes.FindStringSubmatch(script)[1], name+"$1"),
			script: ourNames.ReplaceAllString(script, `"`+name+`$1"`), // it may be a word of SQL
		})
	}
	return all
}

// migrationLock is what processes that migrate at once wait for.
const migrationLock = `SELECT pg_advisory_xact_lock(hashtextextended('~freshet~migrate~', 0))`

// Migrate implements [store.Migrator]. It runs the steps of schema.sql that are missing, in one
// transaction: all of them or none. The role needs CREATE on the schema.
func (b *Backend) Migrate(ctx context.Context, dryRun bool) (steps []string, err error) {
	c, err := b.begin(ctx, mostWait)
	if err != nil {
		return nil, b.fail(ctx, "migrate", "", err)
	}
	options := pgx.TxOptions{}
	if dryRun {
		options.AccessMode = pgx.ReadOnly
	}
	err = pgx.BeginTxFunc(c.ctx, c.conn, options, func(tx pgx.Tx) (err error) {
		steps, err = b.migrate(c.ctx, tx, dryRun)
		return err
	})
	if err = b.done(ctx, &c, err); err != nil {
		return nil, b.fail(ctx, "migrate", "", err)
	}
	return steps, nil
}

func (b *Backend) migrate(ctx context.Context, tx pgx.Tx, dryRun bool) (done []string, err error) {
	if !dryRun {
		if _, err := tx.Exec(ctx, migrationLock); err != nil {
			return nil, err
		}
	}
	if err := b.enterSchema(ctx, tx); err != nil {
		return nil, err
	}
	for _, s := range b.config.steps() {
		var there bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`,
			pgx.Identifier{s.makes}.Sanitize()).Scan(&there); err != nil {
			return nil, err
		}
		if there {
			continue
		}
		if !dryRun {
			if _, err := tx.Conn().PgConn().Exec(ctx, s.script).ReadAll(); err != nil {
				return nil, fmt.Errorf("%s: %w", s.what, err)
			}
		}
		done = append(done, s.what)
	}
	return done, nil
}

// enterSchema has the names in schema.sql be those of the schema that Table names, if it does, and
// refuses tables of a later version.
func (b *Backend) enterSchema(ctx context.Context, tx pgx.Tx) error {
	if schema, _, ok := strings.Cut(b.config.Table, "."); ok {
		if _, err := tx.Exec(ctx, `SELECT set_config('search_path', $1, true)`,
			pgx.Identifier{schema}.Sanitize()); err != nil {
			return err
		}
	}
	var number int
	var said, in string
	err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, coalesce(current_schema(), ''),
		coalesce(obj_description(to_regclass($1), 'pg_class'), '')`, b.sql.table).Scan(&number, &in, &said)
	switch {
	case err != nil:
		return err
	case number < oldest:
		return unfit("the server has version %d; PostgreSQL 12 or later is needed", number/10000)
	case in == "":
		return unfit("there is no schema for the table %s, or the role may not use it; create "+
			"the schema first", b.config.Table)
	}
	return newer(said)
}
