//go:build unix

package testserver

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// settle is how long signalled processes may take to obey.
const settle = 10 * time.Second

func credential(as *account) *syscall.Credential {
	if as == nil {
		return nil
	}
	return &syscall.Credential{Uid: as.uid, Gid: as.gid}
}

// kill ends the program and all below it, and returns when they are gone. PostgreSQL's processes
// each lead a group of their own, so that to signal the program's group would not reach them.
func (p *process) kill() {
	if !p.runs() {
		return
	}
	below, _ := p.freeze()
	for _, pid := range below {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	_ = p.command.Process.Kill()
	<-p.done
	for end := time.Now().Add(settle); slices.ContainsFunc(below, alive) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func (p *process) pause() error {
	if !p.runs() {
		return errors.New("it does not run")
	}
	_, err := p.freeze()
	return err
}

func (p *process) resume() error {
	if !p.runs() {
		return errors.New("it does not run")
	}
	for _, pid := range descendants(p.pid()) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	return p.command.Process.Signal(syscall.SIGCONT)
}

// freeze stops the program and all below it, and returns those below. It looks again until all have
// stopped, since until then any of them may start another.
func (p *process) freeze() (below []int, err error) {
	for end := time.Now().Add(settle); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if err := p.command.Process.Signal(syscall.SIGSTOP); err != nil {
			return nil, err
		}
		below = descendants(p.pid())
		moving := !stopped(p.pid())
		for _, pid := range below {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			moving = moving || !stopped(pid)
		}
		if !moving {
			return below, nil
		}
	}
	return below, errors.New("not all of its processes stopped")
}

// signal asks the program itself to end, and waits for it as long as it may take to obey.
func (p *process) signal(s syscall.Signal) {
	_ = p.command.Process.Signal(s)
	select {
	case <-p.done:
	case <-time.After(settle):
	}
}

func alive(pid int) bool { return state(pid) != 0 && state(pid) != 'Z' && state(pid) != 'X' }

// stopped: a process that has ended moves no more, either.
func stopped(pid int) bool { return state(pid) == 'T' || !alive(pid) }

// Freeze stops a process that the test has started itself by SIGSTOP, and returns when none of its
// threads runs any more.
func Freeze(t testing.TB, p *os.Process) {
	t.Helper()
	for end := time.Now().Add(settle); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if stopped(p.Pid) {
			return
		}
	}
	t.Fatal("testserver: the process does not stop")
}
