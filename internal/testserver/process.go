package testserver

import (
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
)

// process is a running program with whatever processes it starts. All methods take a nil process
// for a dead one.
type process struct {
	command *exec.Cmd
	done    chan struct{} // closed when the program has ended and was waited for
}

// run starts the program in dir, with env besides what this process has. It ends with this process,
// where the system can do that.
func run(
	as *account, dir, output string, env []string, program string, args ...string,
) (*process, error) {
	file, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.Command(program, args...), done: make(chan struct{})}
	p.command.Dir, p.command.Stdout, p.command.Stderr = dir, file, file
	p.command.SysProcAttr = attributes(as)
	if env != nil {
		p.command.Env = append(os.Environ(), env...)
	}
	started := make(chan error)
	go func() {
		// Linux ends the program when the thread ends that started it. So this thread serves nobody
		// else, and waits. It is not unlocked: it ends with this goroutine.
		runtime.LockOSThread()
		err := p.command.Start()
		file.Close()
		started <- err
		if err == nil {
			_ = p.command.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

func (p *process) runs() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) pid() int {
	if p == nil {
		return 0
	}
	return p.command.Process.Pid
}

// account is a user of this system.
type account struct{ uid, gid uint32 }

// unprivileged is who runs what refuses to be run by root: nil, which is ourselves, unless that is
// root.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		found, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &account{uint32(uid), uint32(gid)}, nil
}

// own gives the account the file or folder.
func (a *account) own(name string) error {
	if a == nil {
		return nil
	}
	return os.Chown(name, int(a.uid), int(a.gid))
}
