package servertest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
)

// oneProcess are the kinds that the stories of one process are for.
var oneProcess = append(slices.Clone(serverKinds), plainHTTP, cachekit)

// plainHTTP is nginx with WebDAV, a server without a journal.
var plainHTTP = kind{
	name: "http",
	start: func(t testing.TB) *testserver.Server {
		s := testserver.Nginx(t, func(s *testserver.Server) string {
			return fmt.Sprintf(`server { listen %s; location / {
				root %s/values; dav_methods PUT DELETE; create_full_put_path on; } }`, s.Addr, s.Dir)
		})
		s.URL = "http+store://" + s.Addr + "?allow=127.0.0.1"
		return s
	},
}

var serverKinds = []kind{
	{
		name:  "redis",
		start: func(t testing.TB) *testserver.Server { return testserver.Redis(t) },
		full: func(t *testing.T, s *testserver.Server) func() {
			redisDo(t, s, "CONFIG", "SET", "maxmemory", "1")
			return func() { redisDo(t, s, "CONFIG", "SET", "maxmemory", "0") }
		},
		readOnly: func(t *testing.T, s *testserver.Server) func() {
			redisDo(t, s, "CONFIG", "SET", "min-replicas-to-write", "1")
			return func() { redisDo(t, s, "CONFIG", "SET", "min-replicas-to-write", "0") }
		},
	},
	{
		name:  "postgresql",
		start: func(t testing.TB) *testserver.Server { return testserver.Postgres(t) },
		// as the server says it of a full disk
		full: func(t *testing.T, s *testserver.Server) func() {
			postgresDo(t, s, `CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`,
				`CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON freshet_cache FOR EACH ROW EXECUTE FUNCTION no_room()`)
			return func() {
				postgresDo(t, s, `DROP TRIGGER no_room ON freshet_cache`, `DROP FUNCTION no_room`)
			}
		},
		readOnly: func(t *testing.T, s *testserver.Server) func() {
			postgresReadOnly(t, s, "on")
			return func() { postgresReadOnly(t, s, "off") }
		},
	},
	{
		name:  "memcached",
		start: func(t testing.TB) *testserver.Server { return testserver.Memcached(t, "-M") },
		full: func(t *testing.T, s *testserver.Server) func() {
			fillMemcached(t, s)
			return func() { memcachedDo(t, s, "flush_all\r\n") }
		},
	},
}

func redisDo(t *testing.T, s *testserver.Server, args ...any) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer client.Close()
	if err := client.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
}

// postgresReadOnly changes what new transactions of everyone's may do.
func postgresReadOnly(t *testing.T, s *testserver.Server, on string) {
	t.Helper()
	postgresDo(t, s, "SET default_transaction_read_only = off",
		"ALTER SYSTEM SET default_transaction_read_only = "+on, "SELECT pg_reload_conf()")
}

func postgresDo(t *testing.T, s *testserver.Server, statements ...string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
}

// fillMemcached stores until the server, which runs without eviction, refuses.
func fillMemcached(t *testing.T, s *testserver.Server) {
	t.Helper()
	for size := 500_000; size > 10; size /= 8 {
		value := make([]byte, size)
		for i := 0; ; i++ {
			if i == 200_000 {
				t.Fatal("a memcached without eviction is never full")
			}
			reply := memcachedDo(t, s, fmt.Sprintf("set other-%d-%d 0 0 %d\r\n%s\r\n", size, i,
				len(value), value))
			if reply != "STORED\r\n" {
				break
			}
		}
	}
}

var memcachedConns = map[string]net.Conn{}

func memcachedDo(t *testing.T, s *testserver.Server, command string) string {
	t.Helper()
	conn := memcachedConns[s.Addr]
	if conn == nil {
		var err error
		if conn, err = net.Dial("tcp", s.Addr); err != nil {
			t.Fatal(err)
		}
		memcachedConns[s.Addr] = conn
		t.Cleanup(func() { conn.Close(); delete(memcachedConns, s.Addr) })
	}
	if _, err := conn.Write([]byte(command)); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 512)
	n, err := conn.Read(reply)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply[:n])
}
