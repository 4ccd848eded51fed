package servertest

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store/open"
)

// Credentials and databases that are wrong are said at the start, in one line, without the
// password. Started anyway, requests are the handler's, and the outcome says that the store fails.
func TestWrongPasswordsAndDatabases(t *testing.T) {
	redis := testserver.Redis(t, "--requirepass", "right")
	postgres := testserver.Postgres(t)
	postgresDo(t, postgres, "CREATE ROLE app LOGIN PASSWORD 'right'")
	for story, c := range map[string]struct{ url, says string }{
		"Redis, wrong password": {"redis://:secret@" + redis.Addr + "/0",
			"authentication error"},
		"Redis, no password":    {"redis://" + redis.Addr + "/0", "authentication error"},
		"Redis, wrong database": {"redis://:right@" + redis.Addr + "/99", "permanent error"},
		"PostgreSQL, wrong password": {"postgres://app:secret@" + postgres.Addr +
			"/freshet?sslmode=disable", "authentication error"},
		"PostgreSQL, wrong database": {"postgres://freshet@" + postgres.Addr +
			"/nosuch?sslmode=disable", "permanent error"},
	} {
		t.Run(story, func(t *testing.T) {
			_, err := open.URL(t.Context(), c.url, open.Options{})
			if err == nil || !strings.Contains(err.Error(), c.says) ||
				strings.ContainsAny(err.Error(), "\n") ||
				strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "right") {
				t.Fatalf("error %q, want one line with %q and no password", err, c.says)
			}
			t.Log(err)
			a := &app{t: t}
			a.serve(c.url, "near=0&start=anyway")
			for range 20 {
				if status := a.ask("/page"); !strings.Contains(status, "store-error") &&
					!strings.Contains(status, "journal-lost") {
					t.Errorf("the outcome is %q", status)
				}
			}
			if lines := strings.Count(a.log.String(), "\n"); lines > 5 || strings.Contains(a.log.String(), "secret") {
				t.Errorf("%d lines in the log:\n%s", lines, a.log.String())
			}
		})
	}
}

// The other shapes of Redis, by their URLs.
func TestSentinelsAndClusters(t *testing.T) {
	sentinels, master, _ := testserver.RedisSentinel(t)
	var nodes []string
	for _, node := range testserver.RedisCluster(t) {
		nodes = append(nodes, node.Addr)
	}
	for _, rawURL := range []string{
		"redis+sentinel://" + strings.Join(sentinels, ",") + "/0?master=" + master,
		"redis+cluster://" + strings.Join(nodes, ","),
	} {
		a := &app{t: t}
		a.serve(rawURL, "near=1MiB&compress=1")
		a.asks("/page", "hit")
		b := &app{t: t}
		b.serve(rawURL, "near=1MiB&compress=1")
		b.asks("/page", "hit")
		if b.runs.Load() > 0 {
			t.Errorf("%s: the second process ran the handler", a.store.URL)
		}
		if _, err := a.store.Health(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A server that may evict the journal is used, and the log says what would be better.
func TestAdviceIsLogged(t *testing.T) {
	server := testserver.Redis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	for policy, lines := range map[string]int{"allkeys-lru": 1, "volatile-lru": 0} {
		redisDo(t, server, "CONFIG", "SET", "maxmemory-policy", policy)
		var log logged
		s, err := open.URL(t.Context(), server.URL,
			open.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		text := log.String()
		if strings.Count(text, "\n") != lines || lines == 1 && !strings.Contains(text,
			"set maxmemory-policy volatile-lru") {
			t.Errorf("%s: the log is %q", policy, text)
		}
	}
}
