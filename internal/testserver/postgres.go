package testserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// access lets the superuser in and asks everybody else for a password.
const access = `
host  replication freshet 127.0.0.1/32 trust
host  all freshet 127.0.0.1/32 trust
host  all all     127.0.0.1/32 scram-sha-256
local all freshet              trust
local all all                  peer
`

// Postgres starts a PostgreSQL server for one test, with an empty database "freshet" in UTF-8. Its
// superuser "freshet" needs no password. Any other role needs one over TCP, and over the socket in
// Dir the same name as the system's user. Settings are those of postgresql.conf:
// "max_connections=5".
//
// The server does not wait for the disk: what it has committed survives Kill, not a crash of the
// system.
func Postgres(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	k, err := postgres(Require(tb, "postgres"), settings...)
	if err != nil {
		tb.Fatal(err)
	}
	return own(tb, k)
}

// SharedPostgres is one PostgreSQL server for all tests of the binary. They must keep to tables,
// schemas or databases of their own, and leave it alive.
func SharedPostgres(tb testing.TB) *Server {
	tb.Helper()
	path := Require(tb, "postgres")
	return share(tb, "postgres", func() (kind, error) { return postgres(path) })
}

// PostgresStandby starts a standby of a server that Postgres has started, for one test. It streams
// from the server at addr, which is the primary or a proxy before it, and may be read. Promote makes
// it a primary.
func PostgresStandby(tb testing.TB, primary *Server, addr string) *Server {
	tb.Helper()
	host, port, _ := net.SplitHostPort(addr)
	k, err := postgres(Require(tb, "postgres"), "hot_standby=on",
		fmt.Sprintf("primary_conninfo=host=%s port=%s user=freshet", host, port),
		"wal_retrieve_retry_interval=50ms")
	if err != nil {
		tb.Fatal(err)
	}
	k.created = nil
	k.prepare = func(s *Server) error {
		host, port, _ := net.SplitHostPort(primary.Addr)
		data := filepath.Join(s.Dir, "data")
		if err := s.tool("pg_basebackup", "-h", host, "-p", port, "-U", "freshet", "-D", data,
			"--checkpoint=fast", "--wal-method=stream", "--no-sync"); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644)
	}
	return own(tb, k)
}

// Promote makes a standby a primary, and returns when it takes writes.
func (s *Server) Promote() {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	err := s.sql(ctx, "postgres", "SELECT pg_promote()")
	if err == nil { // it waits until the recovery has ended, but not for all who are connected
		err = until(ctx, s.process.done, func() error {
			return s.sql(ctx, "postgres", "CREATE TEMPORARY TABLE writable ()")
		})
	}
	if err != nil {
		s.fail("promote", err)
	}
}

// tool runs one of the programs that lie beside the server's, as the user that the server runs as.
func (s *Server) tool(name string, words ...string) error {
	p, err := run(s.kind.user, s.Dir, filepath.Join(s.Dir, outputFile), nil,
		filepath.Join(filepath.Dir(s.kind.program), name), words...)
	if err != nil {
		return err
	}
	<-p.done
	if !p.command.ProcessState.Success() {
		return fmt.Errorf("%s: %v", name, p.command.ProcessState)
	}
	return nil
}

func postgres(path string, settings ...string) (kind, error) {
	as, err := unprivileged()
	if err != nil {
		return kind{}, fmt.Errorf("testserver: PostgreSQL does not run as root: %w", err)
	}
	return kind{
		program: path,
		user:    as,
		url:     "postgres://freshet@%s/freshet?sslmode=disable",
		port:    freePort,
		prepare: initdb,
		args: func(s *Server) []string {
			words := []string{"-D", filepath.Join(s.Dir, "data"), "-p", strconv.Itoa(s.port)}
			for _, setting := range append([]string{
				"listen_addresses=127.0.0.1", "unix_socket_directories=" + s.Dir,
				"fsync=off", "full_page_writes=off", "shared_buffers=32MB",
				"dynamic_shared_memory_type=mmap", // in the folder, which is removed
			}, settings...) {
				words = append(words, "-c", setting)
			}
			return words
		},
		ready: postgresReady,
		created: func(ctx context.Context, s *Server) error {
			return s.sql(ctx, "postgres", "CREATE DATABASE freshet")
		},
		// At once and without a checkpoint, but it gives back the system's shared memory.
		stop:    func(s *Server) { s.process.signal(syscall.SIGQUIT) },
		removed: freeMemory,
	}, nil
}

func initdb(s *Server) error {
	data := filepath.Join(s.Dir, "data")
	if err := s.tool("initdb", "-D", data, "-U", "freshet", "--auth=trust", "--no-sync",
		"--no-instructions", "-E", "UTF8", "--locale=C.UTF-8"); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(access), 0o600)
}

// postgresReady has the server answer, when the file that only one server can have in this folder
// says that it listens.
func postgresReady(ctx context.Context, s *Server) error {
	lines := lockFile(s.Dir)
	if len(lines) < 8 || lines[0] != strconv.Itoa(s.process.pid()) ||
		strings.TrimSpace(lines[7]) != "ready" {
		return fmt.Errorf("postmaster.pid does not say that it is ready")
	}
	return s.sql(ctx, "postgres", "SELECT 1")
}

func lockFile(dir string) []string {
	text, _ := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	return strings.Split(string(text), "\n")
}

// freeMemory gives back the piece of System V memory that a killed server leaves in the system,
// which has room for a few thousand of them.
func freeMemory(dir string) {
	if lines := lockFile(dir); len(lines) >= 7 {
		if key := strings.Fields(lines[6]); len(key) == 2 {
			_ = exec.Command("ipcrm", "-m", key[1]).Run()
		}
	}
}

func (s *Server) sql(ctx context.Context, database, text string) error {
	conn, err := pgconn.Connect(ctx, strings.Replace(s.URL, "/freshet?", "/"+database+"?", 1))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, text).ReadAll()
	if e := conn.Close(ctx); err == nil {
		err = e
	}
	return err
}
