package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// process is a program that was started, with all that it starts.
type process struct {
	cmd    *exec.Cmd
	output tail
	done   chan struct{} // closed when it has ended
}

// startProcess starts a program in dir, on one core; a negative one means any.
func startProcess(core int, dir, path string, args ...string) (*process, error) {
	cmd := onCore(core, path, args...)
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.WaitDelay = time.Second // for the output of what it leaves behind
	inOwnGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// onCore is the command that runs a program on one core: taskset becomes the program and keeps its
// process id.
func onCore(core int, path string, args ...string) *exec.Cmd {
	if core < 0 {
		return exec.Command(path, args...)
	}
	return exec.Command("taskset", append([]string{"-c", strconv.Itoa(core), path}, args...)...)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the process to end, then ends it with all of its group.
func (p *process) stop() {
	signalGroup(p.cmd, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
	}
	signalGroup(p.cmd, syscall.SIGKILL)
	<-p.done
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	end []byte
}

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, b...)
	if over := len(t.end) - tailSize; over > 0 {
		t.end = append(t.end[:0], t.end[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.end))
}

// packages are Debian's, where a program is not called as its package is.
var packages = map[string]string{"varnishd": "varnish"}

// program finds a program, also where Debian keeps servers: a user's PATH lacks that.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
		return path, nil
	}
	pkg := name
	if packages[name] != "" {
		pkg = packages[name]
	}
	return "", fmt.Errorf("%s is not installed: `make bench` does it, or `apt-get install %s`",
		name, pkg)
}
