package pgstore

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// admin runs SQL as the server's superuser.
func admin(t testing.TB, url, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// database makes an empty database on the shared server that goes with the test, and returns its URL.
func database(t testing.TB) string {
	t.Helper()
	server := testserver.SharedPostgres(t)
	name := "test_" + strings.ToLower(rand.Text()[:12])
	admin(t, server.URL, "CREATE DATABASE "+name)
	t.Cleanup(func() { admin(t, server.URL, "DROP DATABASE "+name+" WITH (FORCE)") })
	return strings.Replace(server.URL, "/freshet?", "/"+name+"?", 1)
}

// made makes a Backend that ends with the test, and asks nothing.
func made(t testing.TB, url string) *Backend {
	t.Helper()
	c, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// open makes a Backend with its tables.
func open(t testing.TB, url string) *Backend {
	t.Helper()
	b := made(t, url)
	if _, err := b.Migrate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	return b
}

// empty has no values.
func empty(t testing.TB, b *Backend) *Backend {
	t.Helper()
	if _, err := b.pool.Exec(t.Context(), "TRUNCATE "+b.sql.table); err != nil {
		t.Fatal(err)
	}
	return b
}

// options are for the conformance suite, which holds more leases at once than half of the usual pool.
func options() storetest.Options {
	return storetest.Options{
		AllAbilities: true, Oversize: maxValue + 1,
		Unmigrated: func(t *testing.T) store.Backend { return made(t, database(t)) },
	}
}

const roomy = "&pool_size=40"

func TestBackend(t *testing.T) {
	url := database(t) + roomy
	storetest.RunBackend(t, func(t *testing.T) store.Backend { return empty(t, open(t, url)) }, options())
}

func TestBackendWithoutStatementCache(t *testing.T) {
	url := database(t) + roomy + "&statement_cache=false&table=other_table"
	o := options()
	o.Keys, o.Oversize, o.Unmigrated = 100, 0, nil
	storetest.RunBackend(t, func(t *testing.T) store.Backend { return empty(t, open(t, url)) }, o)
}

func TestJournal(t *testing.T) {
	b := open(t, database(t))
	storetest.RunJournal(t, func(t *testing.T) store.Journal { return b.Journal(rand.Text() + ":") })
}
