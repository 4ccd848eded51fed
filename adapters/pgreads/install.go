package pgreads

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed install.sql
var functionSQL string

// InstallOptions say what [Install] does.
type InstallOptions struct {
	// Remove removes the triggers, and with the last of them the function and its schema.
	Remove bool
	// DryRun changes nothing.
	DryRun bool
}

// EachTable stands for all tables of a database but those of PostgreSQL and of Freshet's own store.
const EachTable = "*"

// Install adds to tables the triggers that announce each committed change of a row to
// [Tracer.Listen], and returns the SQL that this takes: nothing where all is there. A name is one
// as SQL has it: product, shop.product, "My table"; a bare one is found by the search_path. Tables
// that are partitioned, or that others inherit from, bring those along. EachTable is for all.
//
// It is one transaction: all or nothing. The role owns the tables and, the first time, may create a
// schema, freshet, for a function. A table is locked against writes for a moment; where another
// transaction holds it for three seconds, Install fails and may be tried again. A change of 64 rows
// or less by one statement is announced by row, one of more rows by table.
//
// Run it again when partitions were attached.
func Install(
	ctx context.Context, conn *pgx.Conn, tables []string, o InstallOptions,
) (done []string, err error) {
	i := installer{InstallOptions: o}
	tx := pgx.TxOptions{}
	if o.DryRun {
		tx.AccessMode = pgx.ReadOnly
	}
	err = pgx.BeginTxFunc(ctx, conn, tx, func(tx pgx.Tx) error {
		i.tx = tx
		return i.install(ctx, tables)
	})
	if err != nil {
		return nil, fmt.Errorf("pgreads: install: %w", err)
	}
	return i.done, nil
}

type installer struct {
	InstallOptions
	tx   pgx.Tx
	done []string
}

// do runs a step, unless it is only asked for.
func (i *installer) do(ctx context.Context, sql string) error {
	i.done = append(i.done, sql)
	if i.DryRun {
		return nil
	}
	if _, err := i.tx.Exec(ctx, sql); err != nil {
		what, _, _ := strings.Cut(sql, "\n")
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (i *installer) install(ctx context.Context, tables []string) error {
	if !i.DryRun {
		_, err := i.tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true),
			pg_advisory_xact_lock(hashtextextended('~freshet~dependencies~', 0))`, lockTimeout)
		if err != nil {
			return err
		}
	}
	all, err := i.tables(ctx, tables)
	if err != nil {
		return err
	}
	if !i.Remove {
		if err := i.function(ctx); err != nil {
			return err
		}
	}
	for _, t := range all {
		if err := i.triggers(ctx, t); err != nil {
			return err
		}
	}
	if i.Remove {
		if err := i.removeFunction(ctx); err != nil {
			return err
		}
	}
	if len(i.done) > 0 && !i.DryRun { // when this is committed
		_, err = i.tx.Exec(ctx, `SELECT pg_notify($1, '{"reload": true}')`, channel)
	}
	return err
}

// table is one that is to have triggers, or to lose them.
type table struct {
	oid  uint32
	name string // in quotes where it needs them
	kind string
}

// lockTimeout is how long a table may be in use, while all who come later wait for Install.
var lockTimeout = "3s"

const tablesSQL = `WITH RECURSIVE below (oid) AS (
	SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.oid = any($1) OR $2 AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'
		AND n.nspname <> 'information_schema'
		AND coalesce(obj_description(c.oid, 'pg_class'), '') !~ '^Freshet'
	UNION SELECT i.inhrelid FROM pg_inherits i JOIN below b ON i.inhparent = b.oid
)
SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind::text
FROM below b JOIN pg_class c ON c.oid = b.oid
JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 2`

func (i *installer) tables(ctx context.Context, names []string) (all []table, err error) {
	var oids []uint32
	for _, name := range names {
		if name == EachTable {
			continue
		}
		var oid *uint32
		if err := i.tx.QueryRow(ctx, "SELECT to_regclass($1)::oid", name).Scan(&oid); err != nil {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
		if oid == nil {
			return nil, fmt.Errorf("there is no table %s: name it as SQL does, with its schema if "+
				"that is not in the search_path", name)
		}
		oids = append(oids, *oid)
	}
	rows, err := i.tx.Query(ctx, tablesSQL, oids, slices.Contains(names, EachTable))
	if err != nil {
		return nil, err
	}
	all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t table, err error) {
		err = row.Scan(&t.oid, &t.name, &t.kind)
		return t, err
	})
	for _, t := range all {
		if t.kind != "r" && t.kind != "p" && slices.Contains(oids, t.oid) {
			return nil, fmt.Errorf("%s is no table, so that no trigger hears of its changes: name "+
				"the tables that a view reads; after the refresh of a materialized view call "+
				"Cache.InvalidateTable", t.name)
		}
	}
	return slices.DeleteFunc(all, func(t table) bool { return t.kind != "r" && t.kind != "p" }), err
}

// function creates the function, or puts a later version into its place.
func (i *installer) function(ctx context.Context) error {
	var schema bool
	var source *string
	err := i.tx.QueryRow(ctx, `SELECT to_regnamespace('freshet') IS NOT NULL,
		(SELECT p.prosrc FROM pg_proc p WHERE p.oid = to_regprocedure('freshet.changed()'))`).
		Scan(&schema, &source)
	if err != nil {
		return err
	}
	if !schema {
		if err := i.do(ctx, "CREATE SCHEMA freshet"); err != nil {
			return err
		}
	}
	_, body, _ := strings.Cut(functionSQL, "$freshet$")
	body, _, _ = strings.Cut(body, "$freshet$")
	if source != nil && *source == body {
		return nil
	}
	return i.do(ctx, strings.TrimSpace(functionSQL))
}

func (i *installer) removeFunction(ctx context.Context) error {
	var there, used bool
	err := i.tx.QueryRow(ctx, `SELECT f.oid IS NOT NULL,
		EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = f.oid)
		FROM (SELECT to_regprocedure('freshet.changed()')::oid) f (oid)`).Scan(&there, &used)
	if err != nil || !there || used {
		return err // or would be, in a dry run
	}
	if err := i.do(ctx, "DROP FUNCTION freshet.changed()"); err != nil {
		return err
	}
	return i.do(ctx, "DROP SCHEMA freshet")
}

// triggers are those of a table, by their names.
var triggers = []struct{ name, event, referencing string }{
	{"freshet_insert", "INSERT", " REFERENCING NEW TABLE AS freshet_new"},
	{"freshet_update", "UPDATE", " REFERENCING OLD TABLE AS freshet_old NEW TABLE AS freshet_new"},
	{"freshet_delete", "DELETE", " REFERENCING OLD TABLE AS freshet_old"},
	{"freshet_truncate", "TRUNCATE", ""},
}

func (i *installer) triggers(ctx context.Context, t table) error {
	enabled := make(map[string]string)
	rows, err := i.tx.Query(ctx, `SELECT tgname::text, tgenabled::text FROM pg_trigger
		WHERE tgrelid = $1 AND NOT tgisinternal AND tgname LIKE 'freshet\_%'`, t.oid)
	if err != nil {
		return err
	}
	var name, how string
	if _, err := pgx.ForEachRow(rows, []any{&name, &how}, func() error {
		enabled[name] = how
		return nil
	}); err != nil {
		return err
	}
	for _, trigger := range triggers {
		how, there := enabled[trigger.name]
		var steps []string
		switch {
		case i.Remove && there:
			steps = []string{fmt.Sprintf("DROP TRIGGER %s ON %s", trigger.name, t.name)}
		case i.Remove:
			continue
		case !there:
			steps = append(steps, fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s%s\n\t"+
				"FOR EACH STATEMENT EXECUTE FUNCTION freshet.changed()", trigger.name,
				trigger.event, t.name, trigger.referencing))
			fallthrough
		case how != "A": // also where session_replication_role is replica, as in a restore
			steps = append(steps, fmt.Sprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", t.name,
				trigger.name))
		}
		for _, step := range steps {
			if err := i.do(ctx, step); err != nil {
				return err
			}
		}
	}
	return nil
}
