package servertest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
)

// A disk that has really no room left (ENOSPC), as a refusal of the table: what is stored is found,
// nothing is stored, each request gets the handler's answer, and hits come back with the room. The
// temporary folder is filled, so it has to be a disk of its own, as make soak-disk mounts one.
func TestAFullDisk(t *testing.T) {
	if os.Getenv("FRESHET_TEST_DISK") == "" {
		return
	}
	redis, postgresql := serverKinds[0], serverKinds[1]
	for _, k := range []kind{folder, sealed(folder), plainHTTP, redis, postgresql} {
		t.Run(k.name, func(t *testing.T) {
			server := k.start(t)
			if k.name == redis.name {
				redisDo(t, server, "CONFIG", "SET", "appendonly", "yes")
				redisPersists(t, server, "aof_rewrite_scheduled:0", "aof_rewrite_in_progress:0",
					"aof_last_bgrewrite_status:ok")
			}
			fault{story: "no space left on device", reads: true, begin: func(a *app) func() {
				a.padding.Store(64 << 10) // more than there is room in what servers have allocated
				end := fillDisk(a.t, server)
				for k.name == redis.name && // which says yes until it notices
					redisErr(t, server, "SET", "other", strings.Repeat("x", 64<<10)) == nil {
				}
				return func() {
					a.padding.Store(0)
					end()
				}
			}}.run(t, server)
		})
	}
}

// fillDisk leaves no room on the disk of the server's folder, until end is called.
func fillDisk(t *testing.T, s *testserver.Server) (end func()) {
	t.Helper()
	name := filepath.Join(filepath.Dir(s.Dir), "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}
