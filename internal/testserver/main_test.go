package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if IsApp() {
		ServeApp(http.HandlerFunc(sayWho))
		return
	}
	Main(m)
}

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
	if err := sql("DO $$ BEGIN ASSERT current_setting('max_connections') = '7'; END $$; CREATE " +
		"TABLE t (x int)"); err != nil {
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

// Somebody else may listen on the port that was free a moment ago, and answer just as ours would.
func TestPortIsTaken(t *testing.T) {
	for name, k := range map[string]kind{
		"redis":     redis(Require(t, "redis-server")),
		"memcached": memcached(Require(t, "memcached")),
	} {
		t.Run(name, func(t *testing.T) {
			first := own(t, k)
			asked := 0
			k.port = func() (int, error) {
				if asked++; asked == 1 {
					return first.port, nil
				}
				return freePort()
			}
			if second := own(t, k); second.Addr == first.Addr || asked != 2 {
				t.Errorf("two servers at %s, after %d ports", second.Addr, asked)
			}
		})
	}
}

func TestOldFoldersAreSweptAway(t *testing.T) {
	old := time.Now().Add(-2 * time.Hour)
	t.Setenv("TMPDIR", t.TempDir())
	left := func(owner int, changed time.Time) string {
		dir := filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-redis-server-1", folderPrefix, owner))
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chtimes(dir, changed, changed)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const nobody = 1 << 30 // greater than any process's number
	for dir, want := range map[string]bool{
		left(nobody, old): false, left(nobody+1, time.Now()): true, left(os.Getpid(), old): true,
	} {
		sweepFolders()
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", filepath.Base(dir), err == nil, want)
		}
	}
}
