package redisstore

import (
	"context"
	"net"
	"syscall"
	"time"
)

// trustedFor is how long after the server's last word a connection is used again without a look at whether it is
// still there. The client looks each time otherwise, which costs a twentieth of a Get. It is less than a server
// needs to be back after its end: a call that would have found a dead connection finds a dead server.
const trustedFor = 10 * time.Millisecond

// dialer makes connections without TLS.
func dialer(timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout, KeepAlive: 5 * time.Minute} // as the client's own
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c}, nil
	}
}

// conn is a connection that knows when its server spoke last. One goroutine at a time uses it, but for Close.
type conn struct {
	net.Conn
	heard   time.Time
	trusted bool // the look that the client is about to take is not needed
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && err == nil {
		c.heard = time.Now()
	}
	return n, err
}

// SetDeadline is called without a deadline before the client takes its look; each call then sets its own.
func (c *conn) SetDeadline(t time.Time) error {
	if c.trusted = t.IsZero() && time.Since(c.heard) < trustedFor; c.trusted {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// SyscallConn is how the client takes its look.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.trusted {
		return unseen{}, nil
	}
	if inner, ok := c.Conn.(syscall.Conn); ok {
		return inner.SyscallConn()
	}
	return unseen{}, nil
}

// unseen is a connection that nobody looks at.
type unseen struct{}

func (unseen) Control(func(fd uintptr)) error    { return nil }
func (unseen) Read(func(fd uintptr) bool) error  { return nil }
func (unseen) Write(func(fd uintptr) bool) error { return nil }
