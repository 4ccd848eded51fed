// Package processes starts and ends what an example needs beside itself: more processes of its own
// program, and servers on loopback ports.
package processes

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a running program. Its methods are safe for concurrent use.
type Process struct {
	Name    string
	Address string // where it takes connections: host:port

	command *exec.Cmd
	stop    func()        // asks it to end
	ended   chan struct{} // closed when it has ended and was waited for
}

// Again starts this very program as another process, with args; env is added to the environment.
// The program calls [Serve], and Again returns when it has the address. The process ends when ctx
// is done, when it is asked to, and when this process ends.
func Again(ctx context.Context, name string, stderr io.Writer, env, args []string) (*Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{Name: name, command: exec.CommandContext(ctx, program, args...),
		ended: make(chan struct{})}
	p.command.Stderr = stderr
	p.command.Env = append(os.Environ(), env...)
	input, err := p.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stop = func() { input.Close() }
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	go p.wait()
	if err != nil {
		p.End()
		return nil, fmt.Errorf("%s has ended before it said where it serves: %w", name, err)
	}
	p.Address = strings.TrimSpace(line)
	return p, nil
}

// Serve serves h at a free port of loopback, whose address it prints to stdout for [Again], until
// ctx is done.
func Serve(ctx context.Context, stdout io.Writer, h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, l.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// UntilEnd returns a context that is done when ctx is, and when [Process.End] asks this process to
// end or the process has ended that started it by [Again]: then its input ends.
func UntilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return ctx, stop
}

// Server starts the server that the file at path is, and returns when it takes connections at the
// address.
func Server(ctx context.Context, name, address, path string, args ...string) (*Process, error) {
	var output strings.Builder
	p := &Process{Name: name, Address: address, command: exec.CommandContext(ctx, path, args...),
		ended: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = &output, &output
	// It ends its own processes, if it is asked to.
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	p.command.WaitDelay = 10 * time.Second
	p.stop = func() { p.command.Cancel() }
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go p.wait()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return p, nil
		}
		select {
		case <-p.ended:
			return nil, fmt.Errorf("%s has ended before it took connections:\n%s", path, output.String())
		case <-ctx.Done():
			p.End()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Process) wait() {
	p.command.Wait()
	close(p.ended)
}

// Runs reports whether the process has not ended yet.
func (p *Process) Runs() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// End asks the process to end, and waits until it has.
func (p *Process) End() {
	p.stop()
	<-p.ended
}

// Kill ends the process at once, as kill -9 does, and waits until it has ended.
func (p *Process) Kill() {
	p.command.Process.Kill()
	<-p.ended
}

// Find returns the path of a server, or "" where it is not installed. Servers are in /usr/sbin,
// which a user's PATH may lack.
func Find(program string) string {
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// FreeAddress returns an address of loopback whose port was free a moment ago.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
