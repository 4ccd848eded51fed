package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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

// database makes an empty database on the shared server that goes with the test, and returns its
// URL.
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

// healthy returns a Backend that is well, or the error of its Health.
func healthy(t testing.TB, c Config) (*Backend, error) {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Health(t.Context()); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
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

// suited has no values, and takes no great ones.
func suited(t testing.TB, b *Backend) *Backend {
	t.Helper()
	b.maxValue = smallest
	if _, err := b.pool.Exec(t.Context(), "TRUNCATE "+b.sql.table); err != nil {
		t.Fatal(err)
	}
	return b
}

// wantKind fails unless err is a *store.Error of one of these kinds, and shows no secret.
func wantKind(t testing.TB, err error, kinds ...store.ErrorKind) {
	t.Helper()
	var e *store.Error
	if !errors.As(err, &e) || !slices.Contains(kinds, e.Kind) {
		t.Errorf("error %v; want one of the kinds %v", err, kinds)
	}
	if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(),
		"\n")) {
		t.Errorf("the error shows a secret, or has several lines: %q", err)
	}
}

// eventually waits until what is asked is true.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 seconds: %s", what)
		}
	}
}

// options are for the conformance suite.
func options() storetest.Options {
	return storetest.Options{
		AllAbilities: true, Oversize: smallest + 1, Keys: 2000,
		Unmigrated: func(t *testing.T) store.Backend { return made(t, database(t)) },
	}
}

// smallest is a bound of values that is quickly exceeded, and as great as the suite needs.
const smallest = 1 << 20

func TestBackend(t *testing.T) {
	url := database(t)
	storetest.RunBackend(t, func(t *testing.T) store.Backend { return suited(t, open(t, url)) },
		options())
}

func TestBackendWithoutStatementCache(t *testing.T) {
	url := database(t) + "&statement_cache=false&table=other_table"
	o := options()
	o.Keys, o.Oversize, o.Unmigrated = 100, 0, nil
	storetest.RunBackend(t, func(t *testing.T) store.Backend { return suited(t, open(t, url)) }, o)
}

func TestBackendThatFoundItsPool(t *testing.T) {
	url := database(t)
	open(t, url)
	config, err := pgxpool.ParseConfig(url + "&pool_max_conns=40")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	o := options()
	o.Keys, o.Unmigrated = 100, nil
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		b, err := NewFrom(pool, Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return suited(t, b)
	}, o)
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("the caller's pool does not work any more: %v", err)
	}
}

func TestJournal(t *testing.T) {
	b := open(t, database(t))
	storetest.RunJournal(t, func(t *testing.T) store.Journal {
		return b.Journal(rand.Text() + ":")
	})
}
