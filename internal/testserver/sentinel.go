package testserver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

const sentinelCount = 3

// RedisSentinel starts a master with one replica and three Sentinels that watch them, for one test.
// The Sentinels call the master down after half a second and then make the replica the master: two
// to four seconds after master.Kill.
func RedisSentinel(tb testing.TB) (sentinels []string, masterName string, master *Server) {
	tb.Helper()
	const name = "freshet"
	path := Require(tb, "redis-server")
	master = Redis(tb, "--repl-diskless-sync-delay", "0")
	RedisReplica(tb, master)

	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	await := func(s *Server, ask func() error) {
		tb.Helper()
		if err := until(ctx, s.process.done, ask); err != nil {
			tb.Fatalf("testserver: the Sentinels of %s: %v", path, err)
		}
	}
	watchers := make([]*Server, sentinelCount)
	for i := range watchers {
		watchers[i] = own(tb, sentinel(path, name, master.port))
		sentinels = append(sentinels, watchers[i].Addr)
	}
	want := map[string]string{
		"flags": "master", "num-slaves": "1",
		"num-other-sentinels": strconv.Itoa(sentinelCount - 1),
	}
	for _, s := range watchers {
		await(s, func() error { return says(ctx, s, want, "SENTINEL", "MASTER", name) })
	}
	return sentinels, name, master
}

func sentinel(path, name string, masterPort int) kind {
	k := redis(path)
	k.prepare = func(s *Server) error {
		const text = `port %d
bind 127.0.0.1
dir %q
sentinel monitor %s 127.0.0.1 %d 2
sentinel down-after-milliseconds %[3]s 500
sentinel failover-timeout %[3]s 3000
`
		return os.WriteFile(configFile(s), fmt.Appendf(nil, text, s.port, s.Dir, name, masterPort),
			0o600)
	}
	k.args = func(s *Server) []string { return []string{configFile(s), "--sentinel"} }
	return k
}

// configFile is where a Sentinel reads its settings and keeps what it has learnt.
func configFile(s *Server) string { return filepath.Join(s.Dir, "sentinel.conf") }
