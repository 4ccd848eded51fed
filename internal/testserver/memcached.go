package testserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Memcached starts a memcached for one test, with 64 MiB and without UDP. Extra args are
// memcached's own: "-I", "2m".
func Memcached(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return own(tb, memcached(Require(tb, "memcached"), args...))
}

// SharedMemcached is one memcached for all tests of the binary. They must keep to keys of their
// own, and leave it alive.
func SharedMemcached(tb testing.TB) *Server {
	tb.Helper()
	path := Require(tb, "memcached")
	return share(tb, "memcached", func() (kind, error) { return memcached(path), nil })
}

func memcached(path string, args ...string) kind {
	return kind{
		program: path,
		url:     "memcached://%s",
		port:    freePort,
		args: func(s *Server) []string {
			words := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", "0", "-m", "64"}
			if os.Geteuid() == 0 {
				// It does not run as root unless told to. Told another name it would change to that
				// by itself, and Linux would then no longer end it with us.
				words = append(words, "-u", "root")
			}
			return append(words, args...)
		},
		ready: memcachedReady,
	}
}

// memcachedReady asks the server for its process, lest somebody else listens there. One that wants
// a password before it says anything is ready, too.
func memcachedReady(ctx context.Context, s *Server) error {
	conn, err := dial(ctx, s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "stats\r\n"); err != nil {
		return err
	}
	ours := fmt.Sprintf("STAT pid %d\r\n", s.process.pid())
	for lines := bufio.NewReader(conn); ; {
		switch line, err := lines.ReadString('\n'); {
		case err != nil:
			return err
		case line == ours, strings.HasPrefix(line, "CLIENT_ERROR unauth"):
			return nil
		case line == "END\r\n":
			return fmt.Errorf("another process listens at %s", s.Addr)
		}
	}
}
