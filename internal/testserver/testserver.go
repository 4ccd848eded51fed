// Package testserver starts the servers that the backends are tested against: Redis, Memcached and
// PostgreSQL, a TCP proxy that makes them fail, nginx and Varnish, caches in front of an app, and
// apps, which are the test's own program in processes of their own.
//
// Each server listens on a free port of loopback only, keeps its files in a folder of its own, and
// ends with the test, or with the test binary, however that ends. Where a server's program is not
// installed the test is skipped with a sentence, or fails if FRESHET_TEST_SERVERS is "required".
package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	startAttempts = 5 // ports tried: one that was free a moment ago may be taken
	startTimeout  = 60 * time.Second
)

// A Server is a running server. Its methods are safe for concurrent use, and fail the test that
// started the server when they fail; those of a shared one panic.
type Server struct {
	Addr string // host:port
	URL  string // without a password
	Dir  string // the server's own folder

	tb   testing.TB // nil: shared
	kind kind
	port int

	mu      sync.Mutex
	process *process
	clock   []string // what its environment has besides; nil: it has the system's clock
	said    int64    // bytes of output before the last start
}

// kind is what sets one kind of server apart from another.
type kind struct {
	program string                                     // its path
	user    *account                                   // who runs it; nil: the user of the test
	url     string                                     // URL, with %s for the address
	port    func() (int, error)                        // finds a free one
	prepare func(s *Server) error                      // fills the folder; may be nil
	args    func(s *Server) []string                   // without the program's name
	env     func(s *Server) []string                   // besides our own; may be nil
	ready   func(ctx context.Context, s *Server) error // asks; nil when it answered and is ours
	created func(ctx context.Context, s *Server) error // after the first start; may be nil
	// asks it to end by itself; may be nil: it is killed
	stop    func(s *Server)
	removed func(dir string) // when it has ended, before the folder goes; may be nil
}

// own starts a server for one test.
func own(tb testing.TB, k kind) *Server {
	tb.Helper()
	s, err := start(k)
	if err != nil {
		tb.Fatal(err)
	}
	s.tb = tb
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the end of what %s at %s wrote:\n%s", filepath.Base(k.program), s.Addr,
				s.output())
		}
		s.remove()
	})
	return s
}

func start(k kind) (*Server, error) {
	sweep()
	var err error
	for range startAttempts {
		var s *Server
		if s, err = startOnce(k); err == nil {
			return s, nil
		}
		if !errors.Is(err, errTaken) {
			break
		}
	}
	return nil, fmt.Errorf("testserver: start %s: %w", k.program, err)
}

func startOnce(k kind) (*Server, error) {
	port, err := k.port()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", folder(filepath.Base(k.program)))
	if err != nil {
		return nil, err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s := &Server{Addr: addr, URL: fmt.Sprintf(k.url, addr), Dir: dir, kind: k, port: port}
	if err := s.begin(); err != nil {
		err = fmt.Errorf("%w\n%s", err, s.output())
		s.remove()
		return nil, err
	}
	return s, nil
}

// begin is the first start.
func (s *Server) begin() error {
	if err := s.kind.user.own(s.Dir); err != nil {
		return err
	}
	if s.kind.prepare != nil {
		if err := s.kind.prepare(s); err != nil {
			return err
		}
	}
	if err := s.launch(); err != nil || s.kind.created == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return s.kind.created(ctx, s)
}

var (
	errEnded = errors.New("it ended before it was ready")
	errTaken = errors.New("another process has taken its port")
)

// launch runs the program and waits until it answers.
func (s *Server) launch() error {
	if before, err := os.Stat(filepath.Join(s.Dir, outputFile)); err == nil {
		s.said = before.Size()
	}
	var env []string
	if s.kind.env != nil {
		env = s.kind.env(s)
	}
	env = append(env, s.clock...)
	p, err := run(s.kind.user, s.Dir, filepath.Join(s.Dir, outputFile), env, s.kind.program,
		s.kind.args(s)...)
	if err != nil {
		return err
	}
	s.process = p
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	err = until(ctx, p.done, func() error { return s.kind.ready(ctx, s) })
	if err != nil {
		p.kill()
	}
	if err == errEnded && bytes.Contains(bytes.ToLower(s.output()),
		[]byte("address already in use")) {
		return errTaken
	}
	return err
}

// until asks again and again, ever slower, until the answer is nil, ctx is done, or ended is
// closed.
func until(ctx context.Context, ended <-chan struct{}, ask func() error) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("it is not ready after %v: %w", startTimeout, err)
		case <-time.After(pause):
		}
	}
}

// Kill ends the server with all its processes by SIGKILL, as a crash does, and returns when they
// are gone. The folder stays for Start. Killing a dead server does nothing.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.kill()
}

// Start starts a killed server again, with the same address, folder and arguments, and returns when
// it answers. Starting a server that runs does nothing.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process.runs() {
		return
	}
	var err error
	for range startAttempts { // the port may have been lent out as the near end of some connection
		if err = s.launch(); !errors.Is(err, errTaken) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		s.fail("start again", err)
	}
}

// Pause stops all processes of the server by SIGSTOP: connections stay, new ones are taken by the
// system, nothing is answered.
func (s *Server) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.process.pause(); err != nil {
		s.fail("pause", err)
	}
}

// Resume lets a paused server run on. It answers what it was asked meanwhile.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.process.resume(); err != nil {
		s.fail("resume", err)
	}
}

// Pid is the number of the server's process, the first one where it has several; of the last one if
// it was killed.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.pid()
}

// remove ends the server and removes its folder.
func (s *Server) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process.runs() && s.kind.stop != nil {
		_ = s.process.resume()
		s.kind.stop(s)
	}
	s.process.kill()
	if s.kind.removed != nil {
		s.kind.removed(s.Dir)
	}
	if err := os.RemoveAll(s.Dir); err != nil && s.tb != nil {
		s.tb.Errorf("testserver: %v", err)
	}
}

func (s *Server) fail(step string, err error) {
	err = fmt.Errorf("testserver: %s %s at %s: %w\n%s", step, s.kind.program, s.Addr, err,
		s.output())
	if s.tb == nil {
		panic(err)
	}
	s.tb.Helper()
	s.tb.Fatal(err)
}

// outputFile has what the server wrote, in its folder.
const outputFile = "output"

// output is the end of what the server wrote since it was last started.
func (s *Server) output() []byte {
	const most = 4 << 10
	text, err := os.ReadFile(filepath.Join(s.Dir, outputFile))
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(int(s.said), len(text)-most):]
}

// freePort finds a port of loopback that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
