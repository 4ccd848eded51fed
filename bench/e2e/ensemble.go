package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ensemble is all that is started for one measurement, and where. It is for one goroutine.
type ensemble struct {
	dir     string // temporary
	files   string // temporary as well: where servers keep files, in memory if there is room
	binary  string // of package server
	cores   cores
	started []*process
	ask     *ask // what is asked for
}

// running is a contestant that runs.
type running struct {
	contestant
	url     string   // of the page, for clients
	control string   // of the server that has the handler
	main    *process // whose CPU time is the contestant's; on the server's core
	behind  *process // Redis, on wrk's core; nil: none
	ask     *ask
}

// newEnsemble makes the folders and builds the servers' binary.
func newEnsemble(ctx context.Context, out io.Writer) (*ensemble, error) {
	dir, err := os.MkdirTemp("", "freshet-e2e-")
	if err != nil {
		return nil, err
	}
	e := &ensemble{dir: dir, files: dir, binary: filepath.Join(dir, "server"),
		cores: chooseCores(readCPUs())}
	if spaceIn(memoryFiles) >= 512<<20 {
		if e.files, err = os.MkdirTemp(memoryFiles, "freshet-e2e-"); err != nil {
			e.files = dir
		}
	}
	fmt.Fprintln(out, e.cores)
	if err := build(ctx, e.binary, "github.com/freshet-go/freshet/bench", "./e2e/server"); err != nil {
		e.end()
		return nil, err
	}
	return e, nil
}

// build builds a command of a module into a file.
func build(ctx context.Context, path, module, command string) error {
	where, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("go list -m %s: %w", module, err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, command)
	build.Dir = strings.TrimSpace(string(where))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", command, err, said)
	}
	return nil
}

// memoryFiles is where Linux has files in memory. Varnish's log, which it always writes, is meant
// to lie there.
const memoryFiles = "/dev/shm"

// inMemory is whether servers keep their files in memory.
func (e *ensemble) inMemory() bool { return e.files != e.dir }

// stop stops everything, the last started first.
func (e *ensemble) stop() {
	for _, p := range slices.Backward(e.started) {
		p.stop()
	}
	e.started = nil
}

// end stops everything and removes the folders.
func (e *ensemble) end() {
	e.stop()
	os.RemoveAll(e.dir)
	os.RemoveAll(e.files)
}

// start starts a contestant and waits until it answers.
func (e *ensemble) start(ctx context.Context, c contestant) (*running, error) {
	r := &running{contestant: c, ask: e.ask}
	if err := c.start(ctx, e, r); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	return r, nil
}

// launch starts a program, and waits until something takes connections at address.
func (e *ensemble) launch(
	ctx context.Context, core int, address, path string, args ...string,
) (*process, error) {
	p, err := startProcess(core, e.dir, path, args...)
	if err != nil {
		return nil, err
	}
	e.started = append(e.started, p)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			connection.Close()
			return p, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s has ended:\n%s", filepath.Base(path), p.output.String())
		case <-ctx.Done():
			return nil, fmt.Errorf("%s does not answer: %w\n%s", filepath.Base(path), err,
				p.output.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// folder makes a folder for one server.
func (e *ensemble) folder(name string) (string, error) {
	dir := filepath.Join(e.files, name)
	os.RemoveAll(dir) // of an earlier ask
	return dir, os.Mkdir(dir, 0o755)
}

// freeAddress is an address of loopback on which nothing listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
