package testserver

import (
	"context"
	"fmt"
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
