//go:build !unix

package testserver

import (
	"errors"
	"syscall"
)

func attributes(*account) *syscall.SysProcAttr { return nil }

func (p *process) kill() {
	if p.runs() {
		_ = p.command.Process.Kill()
		<-p.done
	}
}

func (p *process) pause() error { return errors.New("this system has no SIGSTOP") }

func (p *process) resume() error { return errors.New("this system has no SIGCONT") }

func (p *process) signal(syscall.Signal) {}

// alive: nobody can tell here.
func alive(int) bool { return true }
