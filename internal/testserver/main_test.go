package testserver

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

func ask(t *testing.T, s *Server, words ...string) any {
	t.Helper()
	reply, err := redisDo(t.Context(), s.Addr, words...)
	if err != nil {
		t.Fatalf("%q: %v", words, err)
	}
	return reply
}

func TestRedis(t *testing.T) {
	s := Redis(t, "--maxmemory", "5mb")
	if got := ask(t, s, "CONFIG", "GET", "maxmemory").([]any); got[1] != "5242880" {
		t.Errorf("extra words: maxmemory is %v", got)
	}
	ask(t, s, "SET", "k", "v")
	s.Kill()
	s.Kill()
	if _, err := redisDo(t.Context(), s.Addr, "PING"); err == nil {
		t.Fatal("it lives after Kill")
	}
	s.Start()
	s.Start()
	if got := ask(t, s, "GET", "k"); got != nil {
		t.Errorf("after a crash without a disk: %v", got)
	}
}

func TestShared(t *testing.T) {
	if a, b := SharedRedis(t), SharedRedis(t); a != b {
		t.Error("two shared servers")
	}
}

func TestPause(t *testing.T) {
	s := Redis(t)
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := redisDo(ctx, s.Addr, "PING"); err == nil {
		t.Error("it answers while paused")
	}
	s.Resume()
	ask(t, s, "PING")
}

func TestMemcached(t *testing.T) {
	for _, s := range []*Server{Memcached(t, "-I", "2m"), SharedMemcached(t)} {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "version\r\n")
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line[:8] != "VERSION " {
			t.Errorf("%q, %v", line, err)
		}
	}
}

func TestPostgres(t *testing.T) {
	s := Postgres(t, "max_connections=7")
	sql := func(text string) error { return s.sql(t.Context(), "freshet", text) }
	if err := sql("DO $$ BEGIN ASSERT current_setting('max_connections') = '7'; END $$; CREATE TABLE t (x int)"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := sql("SELECT 1"); err == nil {
		t.Fatal("it lives after Kill")
	}
	s.Start()
	if err := sql("INSERT INTO t VALUES (1)"); err != nil {
		t.Errorf("after a crash: %v", err)
	}
}
