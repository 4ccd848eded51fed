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
	"time"
)

// ensemble is all that is started for one measurement, and where. It is for one goroutine.
type ensemble struct {
	dir     string // temporary
	files   string // temporary as well: where servers keep files, in memory if there is room
	binary  string // of package server
	cores   cores
	started []*process
}

// running is a contestant that runs.
type running struct {
	contestant
	url     string   // of the page, for clients
	control string   // of the server that has the handler
	main    *process // whose CPU time is the contestant's; on the server's core
	behind  *process // Redis, on wrk's core; nil: none
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
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", e.binary,
		"github.com/freshet-go/freshet/bench/e2e/server")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		e.end()
		return nil, fmt.Errorf("go build ./e2e/server: %w\n%s", err, said)
	}
	return e, nil
}

// memoryFiles is where Linux has files in memory. Varnish's log, which it always writes, is meant
// to lie there.
const memoryFiles = "/dev/shm"

// inMemory is whether servers keep their files in memory.
func (e *ensemble) inMemory() bool { return e.files != e.dir }

// end stops everything, the last started first, and removes the folders.
func (e *ensemble) end() {
	for _, p := range slices.Backward(e.started) {
		p.stop()
	}
	os.RemoveAll(e.dir)
	os.RemoveAll(e.files)
}

// start starts a contestant and waits until it answers.
func (e *ensemble) start(ctx context.Context, c contestant) (*running, error) {
	r := &running{contestant: c}
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
