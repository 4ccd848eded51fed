package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/freshet-go/freshet/store/internal/underway"
)

// trustedFor is how long after the server's last word a connection is used again without a look at
// whether it is still there. The client looks each time otherwise, which costs a twentieth of a
// Get. Of a server that ended and is back within this time the first call learns by a connection
// that has hung up, and is repeated.
var trustedFor = 10 * time.Millisecond

// dialer makes connections, with TLS if encrypted is not nil, and knows which of them are doubted.
type dialer struct {
	net       net.Dialer
	encrypted *tls.Config
	servers   sync.Map // address to *server
}

// server is what is known of the server at one address.
type server struct {
	doubted atomic.Int64 // connections that were begun until then are not used any more
}

func newDialer(timeout time.Duration, encrypted *tls.Config) *dialer {
	// as the client's own
	return &dialer{net: net.Dialer{Timeout: timeout, KeepAlive: 5 * time.Minute},
		encrypted: encrypted}
}

// dial never fails. The client writes a line to the host program's standard error for each dial
// that does, and offers only to silence or to redirect all that go-redis says in the process, which
// is not ours to do. So where a server cannot be reached, what the first call says is why.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	known, ok := d.servers.Load(addr)
	if !ok {
		known, _ = d.servers.LoadOrStore(addr, &server{})
	}
	begun := sinceStart()
	c, err := d.dialAny(ctx, network, addr)
	if err != nil {
		c, begun = unreached{err}, never
	}
	return &conn{Conn: c, server: known.(*server), begun: begun}, nil
}

func (d *dialer) dialAny(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.encrypted == nil {
		return d.net.DialContext(ctx, network, addr)
	}
	return (&tls.Dialer{NetDialer: &d.net, Config: d.encrypted}).DialContext(ctx, network, addr)
}

// never is when a connection began that was not made. The look finds it doubted.
const never = 0

// unreached is a server that could not be dialled.
type unreached struct{ error }

func (u unreached) Read([]byte) (int, error)         { return 0, u.error }
func (u unreached) Write([]byte) (int, error)        { return 0, u.error }
func (u unreached) Close() error                     { return nil }
func (u unreached) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (u unreached) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (u unreached) SetDeadline(time.Time) error      { return nil }
func (u unreached) SetReadDeadline(time.Time) error  { return nil }
func (u unreached) SetWriteDeadline(time.Time) error { return nil }

var start = time.Now()

// sinceStart is a clock that is never set back. It is never 0.
func sinceStart() int64 { return int64(time.Since(start)) + 1 }

// conn is a connection that knows when its server spoke last. One goroutine at a time uses it for a
// call; that of a subscriber, as to the Sentinels, is read by one while another pings.
type conn struct {
	net.Conn
	server *server
	begun  int64 // when it was dialled

	heard    atomic.Int64 // when, by sinceStart; 0: nothing yet
	answered atomic.Bool  // the server has said something since it was last spoken to
	deadline atomic.Int64 // of the present call, by sinceStart; 0: none
	trusted  bool         // the look that the client is about to take is not needed
	meter    underway.Meter
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.answered.Store(true)
		if err == nil {
			c.heard.Store(sinceStart())
		}
	}
	return n, c.hungUp(c.meter.Came(n, err))
}

func (c *conn) Write(b []byte) (int, error) {
	c.answered.Store(false)
	c.meter.Asked()
	n, err := c.Conn.Write(b)
	return n, c.hungUp(err)
}

// hungUp returns err, as a hangUp if the server closed the connection before it answered.
func (c *conn) hungUp(err error) error {
	if err == nil || c.answered.Load() || c.begun == never || errors.Is(err, net.ErrClosed) {
		return err
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return err
	}
	return &hangUp{err, c}
}

// hangUp is the error of a call whose connection was closed before a byte of the answer came.
type hangUp struct {
	error
	conn *conn
}

func (h *hangUp) Unwrap() error { return h.error }

// doubt has no connection used again that was begun until now: a server that ends closes all, one
// after the other. That holds for one that is doubted already: it was well then, and what is newer
// may have ended with it.
func (h *hangUp) doubt() { h.conn.server.doubted.Store(sinceStart()) }

// until notes the deadline of a call.
func (c *conn) until(t time.Time) {
	if t.IsZero() {
		c.deadline.Store(0)
	} else {
		c.deadline.Store(int64(t.Sub(start)) + 1)
	}
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.until(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.until(t)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is called without a deadline before the client takes its look; each call then sets
// its own.
func (c *conn) SetDeadline(t time.Time) error {
	heard := c.heard.Load()
	if c.trusted = t.IsZero() && heard != 0 && sinceStart()-heard < int64(trustedFor); c.trusted {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

var errDoubted = errors.New("redisstore: the server has closed connections as old as this one")

// SyscallConn is how the client takes its look. What is encrypted it cannot look into.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.begun <= c.server.doubted.Load() {
		return nil, errDoubted
	}
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
