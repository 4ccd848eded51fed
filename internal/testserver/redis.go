package testserver

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

// Redis starts a redis-server for one test. It keeps nothing on disk. Extra args are words of
// redis.conf: "--maxmemory", "1mb".
func Redis(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return own(tb, redis(Require(tb, "redis-server"), args...))
}

// SharedRedis is one redis-server for all tests of the binary. They must keep to keys of their own,
// and leave it alive.
func SharedRedis(tb testing.TB) *Server {
	tb.Helper()
	path := Require(tb, "redis-server")
	return share(tb, "redis", func() (kind, error) { return redis(path), nil })
}

// RedisReplica starts a replica of a redis-server for one test, and returns when the two are in
// step. A master that is to have one soon has the argument "--repl-diskless-sync-delay", "0", as a
// replica has.
func RedisReplica(tb testing.TB, master *Server) *Server {
	tb.Helper()
	path := Require(tb, "redis-server")
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := own(tb, redis(path, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0"))
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := until(ctx, replica.process.done, func() error {
		return says(ctx, replica, map[string]string{"master_link_status": "up"}, "INFO",
			"replication")
	}); err != nil {
		tb.Fatalf("testserver: the replica of %s: %v", master.Addr, err)
	}
	return replica
}

func redis(path string, args ...string) kind {
	return kind{
		program: path,
		url:     "redis://%s/0",
		port:    freePort,
		args: func(s *Server) []string {
			return append([]string{
				"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.Dir,
				"--daemonize", "no",
				"--save", "", "--appendonly", "no",
			}, args...)
		},
		ready: redisReady,
	}
}

// redisReady asks the server for its process, lest somebody else listens there. One that wants a
// password before it says anything is ready, too.
func redisReady(ctx context.Context, s *Server) error {
	reply, err := redisDo(ctx, s.Addr, "INFO", "server")
	if refused, ok := err.(redisError); ok && (strings.HasPrefix(string(refused), "NOAUTH") ||
		strings.HasPrefix(string(refused), "NOPERM")) {
		return nil
	}
	if err != nil {
		return err
	}
	text, _ := reply.(string)
	if !strings.Contains(text, fmt.Sprintf("process_id:%d\r\n", s.process.pid())) {
		return fmt.Errorf("another process listens at %s", s.Addr)
	}
	if reply, err = redisDo(ctx, s.Addr, "PING"); err != nil {
		return err // LOADING
	}
	return nil
}
