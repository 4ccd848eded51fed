package pgstore

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

var allSteps = []string{
	"create the table freshet_cache", "create the index freshet_cache_expires",
	"create the table freshet_cache_journal", "create the table freshet_cache_journal_head",
	"create the table freshet_cache_journal_members",
}

func migrate(t *testing.T, b *Backend, dryRun bool) []string {
	t.Helper()
	steps, err := b.Migrate(t.Context(), dryRun)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// catalog is everything in the database that is not the system's, with what it is.
func catalog(t *testing.T, url string) (all []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, _ := conn.Query(t.Context(), `
		SELECT concat_ws(' ', n.nspname, c.relname, c.relkind, c.relpersistence, c.reloptions, obj_description(c.oid, 'pg_class'),
			(SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attcollation), ', ' ORDER BY attnum)
			 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
			pg_get_indexdef(c.oid))
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1`)
	all, err = pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMigrate(t *testing.T) {
	url := database(t)
	b := made(t, url)
	for range 2 {
		if steps := migrate(t, b, true); !slices.Equal(steps, allSteps) {
			t.Errorf("dry run: %q", steps)
		}
	}
	if all := catalog(t, url); len(all) > 0 {
		t.Errorf("after dry runs there is %q", all)
	}
	if steps := migrate(t, b, false); !slices.Equal(steps, allSteps) {
		t.Errorf("Migrate: %q", steps)
	}
	before := catalog(t, url)
	if steps := migrate(t, b, false); len(steps) > 0 {
		t.Errorf("Migrate again: %q", steps)
	}
	admin(t, url, "DROP INDEX freshet_cache_expires")
	for _, dryRun := range []bool{true, false} {
		if steps := migrate(t, b, dryRun); !slices.Equal(steps, allSteps[1:2]) {
			t.Errorf("Migrate when the index is missing, dry run %t: %q", dryRun, steps)
		}
	}
	if after := catalog(t, url); !slices.Equal(before, after) {
		t.Errorf("after the index was lost and made again:\n%q\nbefore:\n%q", after, before)
	}
}

func TestMigrateAtOnce(t *testing.T) {
	url := database(t)
	var all sync.WaitGroup
	did := make([]int, 6)
	for i := range did {
		b := made(t, url)
		all.Go(func() {
			steps, err := b.Migrate(context.Background(), false)
			if err != nil {
				t.Error(err)
			}
			did[i] = len(steps)
		})
	}
	all.Wait()
	slices.Sort(did)
	if did[len(did)-1] != len(allSteps) || did[len(did)-2] != 0 {
		t.Errorf("steps that each did: %d; want all by one", did)
	}
}

// An administrator runs the file; Migrate then finds nothing to do, and what it makes itself is the
// same.
func TestTheFileForAdministrators(t *testing.T) {
	byHand, byUs := database(t), database(t)
	psql := filepath.Join(filepath.Dir(testserver.Require(t, "postgres")), "psql")
	if _, err := os.Stat(psql); err != nil {
		testserver.Missing(t, "psql, beside postgres,")
	}
	for range 2 {
		command := exec.Command(psql, "--no-psqlrc", "--single-transaction", "--set",
			"ON_ERROR_STOP=1", "--file", "schema.sql", byHand)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("psql: %v\n%s", err, out)
		}
	}
	if steps := migrate(t, made(t, byHand), true); len(steps) > 0 {
		t.Errorf("after the file: %q", steps)
	}
	migrate(t, made(t, byUs), false)
	if hand, us := catalog(t, byHand), catalog(t, byUs); !slices.Equal(hand, us) || len(us) < 7 {
		t.Errorf("the file makes\n%q\nMigrate makes\n%q", hand, us)
	}
}

func TestTablesOfOtherNames(t *testing.T) {
	url := database(t)
	admin(t, url, "CREATE SCHEMA site")
	for _, table := range []string{"freshet_cache", "site.freshet_cache", "site.user", "_x1"} {
		b := open(t, url+"&table="+table)
		if err := b.Set(t.Context(), "key", []byte(table), time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Journal("a:").Append(t.Context(), store.Mark{Kind: store.MarkTag,
			Name: table}); err != nil {
			t.Fatal(err)
		}
	}
	other := made(t, url+"&table=site.freshet_cache")
	if got, err := other.Get(t.Context(), "key"); err != nil || string(got) != "site.freshet_cache" {
		t.Errorf("Get: %q, %v", got, err)
	}
	if _, err := other.Health(t.Context()); err != nil {
		t.Error(err)
	}
	// A lease of one table is not the other's.
	l, ok, err := other.TryLock(t.Context(), "name", time.Minute)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	l2, ok, err := made(t, url).TryLock(t.Context(), "name", time.Minute)
	if !ok || err != nil {
		t.Fatal("the same name beside another table: ", ok, err)
	}
	for _, l := range []store.Lease{l, l2} {
		if _, err := l.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	}
	_, err = made(t, url+"&table=nowhere.freshet_cache").Migrate(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "create the schema first") {
		t.Errorf("Migrate into a schema that is not there: %v", err)
	}
}

func TestUnlogged(t *testing.T) {
	url := database(t)
	b := open(t, url+"&unlogged=true")
	for table, want := range map[string]string{"freshet_cache": "u", "freshet_cache_journal": "p",
		"freshet_cache_journal_head": "p", "freshet_cache_journal_members": "p"} {
		var got string
		if err := b.pool.QueryRow(t.Context(), "SELECT relpersistence::text FROM pg_class WHERE "+
			"relname = $1", table).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", table, got, err, want)
		}
	}
	// A table that is there stays as it is.
	if steps := migrate(t, made(t, url), false); len(steps) > 0 {
		t.Errorf("Migrate without unlogged: %q", steps)
	}
}

func TestTablesOfALaterVersion(t *testing.T) {
	url := database(t)
	b := open(t, url)
	admin(t, url,
		"COMMENT ON TABLE freshet_cache IS 'Freshet: stored responses (schema version 2)'")
	_, err := b.Migrate(t.Context(), false)
	if wantKind(t, err, store.KindPermanent); err == nil || !strings.Contains(err.Error(), "schema version 2") {
		t.Errorf("Migrate: %v", err)
	}
	wantKind(t, second(b.Health(t.Context())), store.KindPermanent)
	admin(t, url, "COMMENT ON TABLE freshet_cache IS 'ours'")
	if _, err := b.Health(t.Context()); err != nil {
		t.Errorf("with a comment of somebody's own: %v", err)
	}
}

// Once the tables are there, a role that may read and write their rows can do everything.
func TestARoleWithFewRights(t *testing.T) {
	url := database(t)
	open(t, url)
	role := "app_" + suffix(url)
	admin(t, url, "CREATE ROLE "+role+" LOGIN PASSWORD 'right'")
	t.Cleanup(func() { admin(t, url, "DROP OWNED BY "+role); admin(t, url, "DROP ROLE "+role) })
	as := strings.Replace(url, "freshet@", role+":right@", 1)
	wantKind(t, second(made(t, as).Get(t.Context(), "key")), store.KindAuthentication)
	lacks := func(what string) {
		t.Helper()
		_, err := made(t, as).Health(t.Context())
		wantKind(t, err, store.KindAuthentication)
		if err == nil || !strings.Contains(err.Error(), "the role has no "+what) {
			t.Errorf("Health: %v; want that the role has no %s", err, what)
		}
	}
	lacks("SELECT on freshet_cache, INSERT on freshet_cache, ")

	admin(t, url, "GRANT SELECT, INSERT, UPDATE, DELETE ON freshet_cache, freshet_cache_journal, "+
		"freshet_cache_journal_head, freshet_cache_journal_members TO "+role)
	admin(t, url, "REVOKE DELETE ON freshet_cache_journal FROM "+role)
	lacks("DELETE on freshet_cache_journal; ")
	admin(t, url, "GRANT DELETE ON freshet_cache_journal TO "+role)
	c, err := ParseURL(as)
	if err != nil {
		t.Fatal(err)
	}
	b, err := healthy(t, c)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.pool.Exec(t.Context(), "CREATE TABLE public.more (x int)"); err == nil {
		t.Fatal("the role may create tables")
	}
	everyCall(t, b)
	if steps := migrate(t, b, false); len(steps) > 0 {
		t.Errorf("Migrate: %q", steps)
	}
}

// A pooler may give each transaction another connection: nothing may be left on one.
func TestNothingStaysOnAConnection(t *testing.T) {
	url := database(t)
	open(t, url)
	for _, cached := range []bool{true, false} {
		b := made(t, fmt.Sprintf("%s&pool_size=2&max_overflow=0&sweep=0&statement_cache=%t", url,
			cached))
		everyCall(t, b)
		for _, conn := range b.pool.AcquireAllIdle(t.Context()) {
			var statements, listening, locks int
			err := conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_prepared_statements WHERE statement !~ 'pg_prepared'),
				(SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`).
				Scan(&statements, &listening, &locks)
			if err != nil || (statements > 0) != cached || listening+locks > 0 {
				t.Errorf("statement_cache=%t: %d prepared statements, %d channels, %d locks, %v",
					cached, statements, listening, locks, err)
			}
			conn.Release()
		}
	}
}

func second[T any](_ T, err error) error { return err }

// everyCall uses the backend in every way there is.
func everyCall(t *testing.T, b *Backend) {
	t.Helper()
	ctx := t.Context()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	must("Set", b.Set(ctx, "a:1", []byte("v"), time.Hour))
	must("Set again", b.Set(ctx, "a:1", []byte("v"), time.Hour))
	must("Get", second(b.Get(ctx, "a:1")))
	must("Exists", second(b.Exists(ctx, "a:1")))
	must("TTL", second(b.TTL(ctx, "a:1")))
	must("Expire", second(b.Expire(ctx, "a:1", time.Hour)))
	must("Health", second(b.Health(ctx)))
	for _, err := range b.List(ctx, "a:") {
		must("List", err)
	}
	must("Flush", second(b.Flush(ctx, "a:")))
	must("Delete", second(b.Delete(ctx, "a:1")))
	must("sweep", second(b.sweepOnce(ctx)))
	must("Probe", second(store.Probe(ctx, b, "probe:")))
	l, ok, err := b.TryLock(ctx, "name", time.Minute)
	must("TryLock", err)
	if ok {
		must("Unlock", second(l.Unlock(ctx)))
	}
	j := b.Journal("a:").(*journal)
	j.marks = 1 // so that it forgets
	number, err := j.Append(ctx)
	must("Append of nothing", err)
	for range 3 {
		must("Append", second(j.Append(ctx, store.Mark{Kind: store.MarkTag, Name: "tag"})))
	}
	_, _, err = j.Since(ctx, 0)
	must("Since", err)
	for _, err := range j.Watch(ctx, number) {
		must("Watch", err)
		break
	}
	must("Renew", j.Renew(ctx, store.Member{ID: "a", Name: "web"}))
	must("Members", second(j.Members(ctx)))
	must("Leave", j.Leave(ctx, "a"))
}
