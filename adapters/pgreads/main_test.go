package pgreads

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// database makes a database on the shared server, runs SQL in it, and returns its URL.
func database(t testing.TB, sql string) string {
	t.Helper()
	server := testserver.SharedPostgres(t)
	name := "test_" + strings.ToLower(rand.Text()[:12])
	run(t, server.URL, "CREATE DATABASE "+name)
	url := strings.Replace(server.URL, "/freshet?", "/"+name+"?", 1)
	run(t, url, sql)
	return url
}

var shopOnce struct {
	sync.Once
	url string
}

// shopDatabase returns a database with the tables of a shop, which announce their changes. All
// tests share it.
func shopDatabase(t testing.TB) string {
	t.Helper()
	shopOnce.Do(func() {
		url := database(t, shop)
		install(t, url, InstallOptions{}, shopTables...)
		shopOnce.url = url
	})
	return shopOnce.url
}

// run runs SQL in a connection of its own: some other program's.
func run(t testing.TB, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(context.Background())
	runIn(t, conn, sql)
}

func runIn(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func parseConfig(t testing.TB, url string) *pgx.ConnConfig {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

var discard = slog.New(slog.DiscardHandler)

func install(t testing.TB, url string, o InstallOptions, tables ...string) []string {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(context.Background())
	done, err := Install(context.Background(), conn, tables, o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// app has pages that are made of what a database says.
type app struct {
	t      testing.TB
	cache  *middleware.Cache
	pool   *pgxpool.Pool
	tracer *Tracer
	http.Handler
	runs atomic.Int64

	mu    sync.Mutex
	pages map[string]func(ctx context.Context, w io.Writer)
}

// newApp returns an app on a database, which it listens to by direct.
func newApp(t testing.TB, url, direct string, o Options) *app {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	o.Direct = parseConfig(t, direct)
	a := newDeafApp(t, url, o)
	ctx, cancel := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	listening.Go(func() { a.tracer.Listen(ctx, a.cache) })
	t.Cleanup(func() {
		cancel()
		listening.Wait()
	})
	eventually(t, "the tracer listens", a.tracer.touch.Load)
	return a
}

// newDeafApp returns an app on a database, which it does not listen to.
func newDeafApp(t testing.TB, url string, o Options) *app {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{t: t, tracer: New(config.ConnConfig, o),
		pages: make(map[string]func(context.Context, io.Writer))}
	if a.pool, err = pgxpool.NewWithConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.pool.Close)
	s := memstore.New(64 << 20)
	t.Cleanup(s.Close)
	a.cache = middleware.New(s, middleware.Options{Log: discard})
	t.Cleanup(func() { a.cache.Shutdown(context.Background()) })
	a.Handler = a.cache.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(a.serve))
	return a
}

func (a *app) serve(w http.ResponseWriter, r *http.Request) {
	a.runs.Add(1)
	a.mu.Lock()
	page := a.pages[r.URL.Path]
	a.mu.Unlock()
	io.WriteString(w, "page\n")
	page(r.Context(), w)
}

// page adds a page with what a query returns.
func (a *app) page(path, sql string, args ...any) {
	a.pageOf(path, func(ctx context.Context, w io.Writer) { a.query(ctx, w, sql, args...) })
}

func (a *app) pageOf(path string, page func(ctx context.Context, w io.Writer)) {
	a.mu.Lock()
	a.pages[path] = page
	a.mu.Unlock()
}

func (a *app) query(ctx context.Context, w io.Writer, sql string, args ...any) {
	rows, err := a.pool.Query(ctx, sql, args...)
	if err != nil {
		panic(err)
	}
	for rows.Next() {
		values, _ := rows.Values()
		fmt.Fprintln(w, values...)
	}
	if rows.Err() != nil {
		panic(fmt.Sprint(sql, ": ", rows.Err()))
	}
}

// get returns a page, and whether it came from the store.
func (a *app) get(path string) (body string, hit bool) {
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Body.String(), strings.Contains(w.Result().Header.Get("Cache-Status"), "; hit")
}

// stored gets pages until they are stored: what came before a listener began is invalidated.
func (a *app) stored(paths ...string) {
	a.t.Helper()
	for _, path := range paths {
		eventually(a.t, path+" is stored", func() bool { _, hit := a.get(path); return hit })
	}
}

// heard waits until the listener has heard all that was committed before.
func (a *app) heard() {
	a.t.Helper()
	channel := "/" + rand.Text()
	a.pageOf(channel, func(ctx context.Context, w io.Writer) {
		middleware.Reads(ctx, "heard", channel)
	})
	a.stored(channel)
	if _, err := a.pool.Exec(context.Background(), `SELECT pg_notify('freshet_changes',
		json_build_object('tables', json_build_array('heard'), 'keys',
			json_build_array(json_build_array($1::text)))::text)`, channel); err != nil {
		a.t.Fatal(err)
	}
	eventually(a.t, "a notification was heard", func() bool { _, hit := a.get(channel); return !hit })
}

// eventually waits until what is asked is true.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ask(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 seconds: %s", what)
		}
	}
}
