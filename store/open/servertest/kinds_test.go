package servertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
)

// kind is a backend on a server, or in a folder, as the table of faults knows it.
type kind struct {
	name  string
	start func(testing.TB) *testserver.Server
	// refusals are the ways in which it answers reads and stores nothing more.
	refusals []refusal
}

// refusal is a reason why a server stores nothing more, though it is well.
type refusal struct {
	story string
	begin func(t *testing.T, s *testserver.Server) (end func())
	marks bool // the journal takes invalidations all the same
}

// oneProcess are the kinds that the stories of one process are for.
var oneProcess = append(slices.Clone(serverKinds), plainHTTP, cachekit)

// tableKinds are the kinds of the table of faults. A store that joins it is a line here.
var tableKinds = append(slices.Clone(oneProcess), folder, sealed(serverKinds[0]), sealed(folder))

// sealed is a kind whose values and marks are encrypted.
func sealed(k kind) kind {
	start := k.start
	k.name, k.start = k.name+", sealed", func(t testing.TB) *testserver.Server {
		t.Setenv("FRESHET_TEST_KEY", strings.Repeat("0123456789abcdef", 4))
		s := start(t)
		s.URL += "?encryption_key=env:FRESHET_TEST_KEY"
		return s
	}
	return k
}

// folder is a folder of files, which has no server: nothing stands between it and the process.
var folder = kind{
	name:  "files",
	start: func(t testing.TB) *testserver.Server { return unprivileged(t) },
	refusals: []refusal{
		{story: "a read-only folder", begin: func(t *testing.T, s *testserver.Server) func() {
			allow(t, s.Dir, 0o500)
			return func() { allow(t, s.Dir, 0o700) }
		}},
	},
}

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
	refusals: []refusal{
		{story: "a full disk", begin: fullDisk},
		{story: "a server that takes no PUT", begin: func(t *testing.T, s *testserver.Server) func() {
			reconfigure(t, s, "dav_methods PUT DELETE", "dav_methods off")
			return func() { reconfigure(t, s, "dav_methods off", "dav_methods PUT DELETE") }
		}},
	},
}

var serverKinds = []kind{
	{
		name:  "redis",
		start: func(t testing.TB) *testserver.Server { return testserver.Redis(t) },
		refusals: []refusal{
			{story: "full, and evicts nothing", marks: true,
				begin: redisSetting("maxmemory", "1", "0")},
			{story: "fewer replicas than it wants",
				begin: redisSetting("min-replicas-to-write", "1", "0")},
			{story: "a replica", begin: func(t *testing.T, s *testserver.Server) func() {
				redisDo(t, s, "REPLICAOF", "127.0.0.1", "1")
				return func() { redisDo(t, s, "REPLICAOF", "NO", "ONE") }
			}},
			{story: "a full disk under the AOF", begin: redisLog},
			{story: "a full disk under the snapshots", begin: redisSnapshot},
		},
	},
	{
		name:  "postgresql",
		start: func(t testing.TB) *testserver.Server { return testserver.Postgres(t) },
		refusals: []refusal{
			// as the server says it of a full disk
			{story: "a full disk", marks: true, begin: func(t *testing.T, s *testserver.Server) func() {
				postgresDo(t, s, `CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN RAISE EXCEPTION 'could not extend file: No space left on device'
					USING ERRCODE = 'disk_full'; END $$`,
					`CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON freshet_cache
						FOR EACH ROW EXECUTE FUNCTION no_room()`)
				return func() {
					postgresDo(t, s, `DROP TRIGGER no_room ON freshet_cache`, `DROP FUNCTION no_room`)
				}
			}},
			{story: "read-only", begin: func(t *testing.T, s *testserver.Server) func() {
				postgresReadOnly(t, s, "on")
				return func() { postgresReadOnly(t, s, "off") }
			}},
		},
	},
	{
		name:  "memcached",
		start: func(t testing.TB) *testserver.Server { return testserver.Memcached(t, "-M", "-m", "8") },
		refusals: []refusal{
			{story: "full, and evicts nothing", marks: true, begin: func(t *testing.T, s *testserver.Server) func() {
				fillMemcached(t, s)
				return func() { memcachedDo(t, s, "flush_all\r\n") }
			}},
		},
	},
}

// fullDisk has no file of the server's grow.
func fullDisk(t *testing.T, s *testserver.Server) func() {
	s.LimitFiles(1)
	return func() { s.LimitFiles(-1) }
}

func redisDo(t *testing.T, s *testserver.Server, args ...any) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer client.Close()
	if err := client.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
}

// postgresReadOnly changes what new transactions may do, and returns when a session that begins has
// the change: by then PostgreSQL has signalled all others, which read it before their next command.
func postgresReadOnly(t *testing.T, s *testserver.Server, on string) {
	t.Helper()
	postgresDo(t, s, "SET default_transaction_read_only = off",
		"ALTER SYSTEM SET default_transaction_read_only = "+on, "SELECT pg_reload_conf()")
	ctx := context.Background()
	for got := ""; got != on; {
		conn, err := pgx.Connect(ctx, s.URL)
		if err != nil {
			t.Fatal(err)
		}
		err = conn.QueryRow(ctx, "SHOW default_transaction_read_only").Scan(&got)
		conn.Close(ctx)
		if err != nil {
			t.Fatal(err)
		}
	}
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

// fillMemcached stores until the server, which runs without eviction, refuses whatever the size: it
// gives each class of sizes, a quarter apart, some room of its own.
func fillMemcached(t *testing.T, s *testserver.Server) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	replies := bufio.NewReader(conn)
	const most = 500_000
	for size, n := most, 0; size > 10; size = min(size*5/6, 4_000) {
		for full := false; !full; n++ {
			if n == 100_000 {
				t.Fatal("a memcached without eviction is never full")
			}
			batch, value := 100, strings.Repeat("x", size)
			if size == most {
				batch = 1
			}
			var all strings.Builder
			for i := range batch {
				fmt.Fprintf(&all, "set other-%d-%d 0 0 %d\r\n%s\r\n", n, i, size, value)
			}
			if _, err := io.WriteString(conn, all.String()); err != nil {
				t.Fatal(err)
			}
			for range batch {
				reply, err := replies.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				full = full || reply != "STORED\r\n"
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
