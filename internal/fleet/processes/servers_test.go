package processes

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// kind is a server that processes share, with another that follows it and can take its place.
type kind struct {
	name  string
	start func(t *testing.T) *testserver.Server
	// follower starts one of primary. detach cuts it off from what the primary writes;
	// then promote makes it a server of its own.
	follower func(t *testing.T, primary *testserver.Server) (second *testserver.Server, detach, promote func())
	// losses are what the server may forget: first all that it has, then parts of it.
	losses []loss
}

// loss is something that a server forgets.
type loss struct {
	what   string
	forget func(t *testing.T, s *testserver.Server)
}

var kinds = []kind{
	{
		name: "redis",
		start: func(t *testing.T) *testserver.Server {
			return testserver.Redis(t, "--repl-diskless-sync-delay", "0")
		},
		follower: func(t *testing.T, primary *testserver.Server) (
			second *testserver.Server, detach, promote func(),
		) {
			second = testserver.RedisReplica(t, primary)
			// one that follows nobody is a master, and has what it had until then
			detach = func() {
				redisDo(t, primary, "SET", "flowed", "1")
				redisDo(t, primary, "WAIT", 1, 5000)
				redisDo(t, second, "REPLICAOF", "NO", "ONE")
			}
			return second, detach, func() {}
		},
		losses: []loss{
			{"everything", func(t *testing.T, s *testserver.Server) { redisDo(t, s, "FLUSHALL") }},
			{"the journal", func(t *testing.T, s *testserver.Server) { redisDelete(t, s, "{~journal~*}") }},
			{"the list of members", func(t *testing.T, s *testserver.Server) {
				redisDelete(t, s, "{~journal~*}?*")
			}},
		},
	},
	{
		name:  "postgresql",
		start: func(t *testing.T) *testserver.Server { return testserver.Postgres(t) },
		follower: func(t *testing.T, primary *testserver.Server) (
			second *testserver.Server, detach, promote func(),
		) {
			link := testserver.Proxy(t, primary.Addr)
			second = testserver.PostgresStandby(t, primary, link.Addr)
			detach = func() {
				flowed(t, primary)
				link.Refuse()
			}
			return second, detach, second.Promote
		},
		losses: []loss{
			{"everything", truncate("freshet_cache", "freshet_cache_journal",
				"freshet_cache_journal_head", "freshet_cache_journal_members")},
			{"the marks of the journal", truncate("freshet_cache_journal")},
			{"the heads of the journal", truncate("freshet_cache_journal_head")},
			{"the journal", truncate("freshet_cache_journal", "freshet_cache_journal_head")},
			{"the list of members", truncate("freshet_cache_journal_members")},
		},
	},
}

func redisDo(t *testing.T, s *testserver.Server, args ...any) any {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr, PoolSize: 1})
	defer client.Close()
	answer, err := client.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// redisDelete deletes all keys that match a pattern, once there are some.
func redisDelete(t *testing.T, s *testserver.Server, pattern string) {
	t.Helper()
	eventually(t, "the server has the key "+pattern, func() bool {
		keys := redisDo(t, s, "KEYS", pattern).([]any)
		return len(keys) > 0 && redisDo(t, s, append([]any{"DEL"}, keys...)...).(int64) > 0
	})
}

func truncate(tables ...string) func(t *testing.T, s *testserver.Server) {
	return func(t *testing.T, s *testserver.Server) {
		t.Helper()
		conn := connect(t, s)
		defer conn.Close(context.Background())
		if _, err := conn.Exec(t.Context(), "TRUNCATE "+strings.Join(tables, ", ")); err != nil {
			t.Fatal(err)
		}
	}
}

func connect(t *testing.T, s *testserver.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// flowed waits until a standby has all that its primary has written so far.
func flowed(t *testing.T, primary *testserver.Server) {
	t.Helper()
	conn := connect(t, primary)
	defer conn.Close(context.Background())
	var until string
	if err := conn.QueryRow(t.Context(), "SELECT pg_current_wal_lsn()::text").Scan(&until); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the standby is in step", func() bool {
		var all bool
		err := conn.QueryRow(t.Context(), `SELECT coalesce(bool_and(replay_lsn >= $1::text::pg_lsn), false)
			FROM pg_stat_replication`, until).Scan(&all)
		return err == nil && all
	})
}

// migrate creates what a server's kind needs.
func migrate(t *testing.T, s *testserver.Server) {
	t.Helper()
	b, _, end, err := open.Backend(s.URL, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if _, err := store.Migrate(t.Context(), b, false); err != nil {
		t.Fatal(err)
	}
}

// patience is how long something may take that must happen, on whatever machine.
const patience = 4 * time.Minute

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
