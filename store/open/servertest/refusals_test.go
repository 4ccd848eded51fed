package servertest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
)

// redisSetting returns a refusal by a setting, which has one value while it lasts and another
// before and after.
func redisSetting(name, during, otherwise string) func(*testing.T, *testserver.Server) func() {
	return func(t *testing.T, s *testserver.Server) func() {
		redisDo(t, s, "CONFIG", "SET", name, during)
		return func() { redisDo(t, s, "CONFIG", "SET", name, otherwise) }
	}
}

// redisLog fills the disk to which the server appends what it stores.
func redisLog(t *testing.T, s *testserver.Server) func() {
	redisDo(t, s, "CONFIG", "SET", "appendonly", "yes")
	redisPersists(t, s, "aof_rewrite_scheduled:0", "aof_rewrite_in_progress:0",
		"aof_last_bgrewrite_status:ok")
	s.LimitFiles(1)
	for end := time.Now().Add(10 * time.Second); redisErr(t, s, "SET", "other", "1") == nil; {
		if time.Now().After(end) {
			t.Fatal("an AOF that cannot be written is not noticed")
		}
	}
	return func() { s.LimitFiles(-1) }
}

// redisSnapshot fills the disk on which the server keeps its snapshots.
func redisSnapshot(t *testing.T, s *testserver.Server) func() {
	redisDo(t, s, "CONFIG", "SET", "appendonly", "no")
	redisDo(t, s, "CONFIG", "SET", "save", "3600 1")
	s.LimitFiles(1)
	redisDo(t, s, "BGSAVE")
	redisPersists(t, s, "rdb_bgsave_in_progress:0", "rdb_last_bgsave_status:err")
	return func() {
		s.LimitFiles(-1)
		redisDo(t, s, "BGSAVE") // which the server does of itself, after a while
	}
}

// redisPersists waits until the server says all of this of its persistence.
func redisPersists(t *testing.T, s *testserver.Server, lines ...string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr, PoolSize: 1})
	defer client.Close()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		info, err := client.Info(t.Context(), "persistence").Result()
		missing := ""
		for _, line := range lines {
			if !strings.Contains(info, line+"\r\n") {
				missing = line
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within 20 seconds: %s (%v)", missing, err)
		}
	}
}

func redisErr(t *testing.T, s *testserver.Server, args ...any) error {
	client := redis.NewClient(&redis.Options{Addr: s.Addr, PoolSize: 1})
	defer client.Close()
	return client.Do(t.Context(), args...).Err()
}

// reconfigure replaces words of nginx's settings by others, and starts it again: connections would
// go on with the old ones.
func reconfigure(t *testing.T, s *testserver.Server, words ...string) {
	t.Helper()
	file := filepath.Join(s.Dir, "nginx.conf")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.NewReplacer(words...).Replace(string(text))), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Start()
}

// unprivileged starts a folder: one of its own, which this process may use until the test ends
// without a privilege of root's, to whom no folder is read-only.
func unprivileged(t testing.TB) *testserver.Server {
	dir := filepath.Join(t.TempDir(), "values")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		const nobody = 65534
		for _, each := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
			if err := os.Chown(each, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Seteuid(nobody); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := syscall.Seteuid(0); err != nil {
				t.Fatal(err)
			}
		})
	}
	return &testserver.Server{URL: "file://" + dir, Dir: dir}
}

// allow sets the rights of a folder and of those in it.
func allow(t *testing.T, dir string, mode fs.FileMode) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(path, mode)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// temporaries are the files in a folder that somebody was writing.
func temporaries(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err == nil && e.Type().IsRegular() && strings.HasPrefix(name, "~") && strings.Count(name, ".") == 2 {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
