package memcachestore

import (
	"bufio"
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/deadline"
	"github.com/freshet-go/freshet/store/internal/underway"
)

// pool has the clients of a Backend. The vendor's client knows no context. So each call has a
// client, with its own connections, to itself: when the call's context is done, the call's waiting
// on these connections is ended. No call needs a goroutine for that, and none is left behind.
type pool struct {
	config  Config
	servers *servers
	done    context.Context // done when closed
	end     context.CancelFunc

	mu   sync.Mutex
	idle []*client // the one used last is used next
	all  map[*client]struct{}
}

func newPool(c Config, s *servers) *pool {
	p := &pool{config: c, servers: s, all: make(map[*client]struct{})}
	p.done, p.end = context.WithCancel(context.Background())
	return p
}

// begin returns a client for a call, or nil if the pool is closed. release takes it back. The call
// asks that server, or those of its keys if at is nil.
func (p *pool) begin(ctx context.Context, at *server) *client {
	cl := p.get()
	if cl == nil {
		return nil
	}
	cl.begin(ctx, at)
	return cl
}

func (p *pool) get() *client {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done.Err() != nil {
		return nil
	}
	if last := len(p.idle) - 1; last >= 0 {
		cl := p.idle[last]
		p.idle = p.idle[:last]
		return cl
	}
	cl := &client{pool: p}
	cl.inner = memcache.NewFromSelector(cl)
	cl.inner.Timeout = p.config.Timeout
	cl.inner.DialContext = cl.dial
	p.all[cl] = struct{}{}
	return cl
}

func (p *pool) release(cl *client) {
	cl.end()
	p.mu.Lock()
	kept := len(p.idle) < p.config.PoolSize && p.done.Err() == nil
	if kept {
		p.idle = append(p.idle, cl)
	}
	p.mu.Unlock()
	if !kept {
		p.drop(cl)
	}
}

// drop closes a client that a call has.
func (p *pool) drop(cl *client) {
	cl.end()
	p.mu.Lock()
	delete(p.all, cl)
	p.mu.Unlock()
	cl.close()
}

func (p *pool) close() {
	p.mu.Lock()
	p.end()
	all := p.all
	p.all, p.idle = nil, nil
	p.mu.Unlock()
	for cl := range all {
		cl.close()
	}
}

// client is the vendor's client, for one call at a time. It chooses the servers of the call.
type client struct {
	pool  *pool
	inner *memcache.Client
	ctx   context.Context // of the call in progress
	at    *server         // that the call asks; nil: those of its keys
	tries []*server       // that do not answer, and that the call may try
	stop  func() bool     // ends the listening to ctx; nil: nobody listens

	mu     sync.Mutex
	call   uint64  // the call's number, from 1
	ended  bool    // the call's context is done
	stale  bool    // a connection ended that had served an earlier call, before it said anything
	silent *server // did not answer; nil: none
	closed bool
	open   []*conn
}

var _ memcache.ServerSelector = (*client)(nil)

// PickServer implements memcache.ServerSelector. It refuses a server whose breaker is open, unless
// the call may try it.
func (cl *client) PickServer(key string) (net.Addr, error) {
	s := cl.at
	if s == nil {
		s = cl.pool.servers.pick(key)
	}
	if !s.breaker.open() || slices.Contains(cl.tries, s) {
		return s, nil
	}
	if !s.breaker.ask() {
		return nil, s.breaker.refusal(s)
	}
	cl.tries = append(cl.tries, s)
	return s, nil
}

// Each implements memcache.ServerSelector.
func (cl *client) Each(f func(net.Addr) error) error { return cl.pool.servers.Each(f) }

// unheard notes that a server has not answered.
func (cl *client) unheard(s *server) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.silent == nil {
		cl.silent = s
	}
}

// silentServer returns the first server that has not answered the call, or nil.
func (cl *client) silentServer() *server {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.silent
}

func (cl *client) begin(ctx context.Context, at *server) {
	cl.ctx, cl.at = ctx, at
	cl.mu.Lock()
	cl.call++
	cl.ended, cl.stale, cl.silent = false, false, nil
	call := cl.call
	cl.mu.Unlock()
	if ctx := deadline.Only(ctx); ctx.Done() != nil { // or else SetDeadline ends the call
		cl.stop = context.AfterFunc(ctx, func() { cl.interrupt(call) })
	}
}

func (cl *client) end() {
	if cl.stop != nil {
		cl.stop()
	}
	cl.ctx, cl.at, cl.stop = nil, nil, nil
	cl.tries = cl.tries[:0]
}

// long is a time that has passed.
var long = time.Unix(1, 0)

// interrupt ends the waiting of a call, if the client still serves that call.
func (cl *client) interrupt(call uint64) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.call != call {
		return
	}
	cl.ended = true
	for _, c := range cl.open {
		_ = c.Conn.SetDeadline(long)
	}
}

func (cl *client) wasStale() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.stale
}

func (cl *client) close() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.closed = true
	for _, c := range cl.open {
		_ = c.Conn.Close()
	}
	cl.open = nil
}

// dial makes a connection for the call in progress. The context that it is given is the vendor's
// own.
func (cl *client) dial(_ context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(cl.ctx, cl.pool.config.DialTimeout)
	defer cancel()
	defer context.AfterFunc(cl.pool.done, cancel)()
	to := cl.pool.servers.named(address)
	dialled, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		cl.unheard(to)
		return nil, err
	}
	nc := &underway.Conn{Conn: dialled}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.closed {
		_ = nc.Close()
		return nil, net.ErrClosed
	}
	c := &conn{Conn: nc, in: bufio.NewReaderSize(nc, readBuffer), client: cl, server: to}
	cl.open = append(cl.open, c)
	return c, nil
}

// readBuffer is how much a connection reads at once, in bytes. The vendor's client would read 4
// KiB, and so ask the system twice for most pages.
const readBuffer = 16 << 10

// conn is a connection of a client.
type conn struct {
	net.Conn
	in     *bufio.Reader // of Conn
	client *client
	server *server // dialled
	call   uint64  // the number of the call that it serves
	reused bool    // it has served another call before
	heard  bool    // the server has said something in this call
}

// SetDeadline is called by the vendor's client before each line of an answer. The first call sets
// the deadline and the others leave it, so that a slow server has the timeout once and not several
// times; a call whose context is done has no time left.
func (c *conn) SetDeadline(t time.Time) error {
	cl := c.client
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if c.call == cl.call {
		return nil
	}
	c.call, c.reused, c.heard = cl.call, c.call != 0, false
	if end, ok := cl.ctx.Deadline(); ok && end.Before(t) {
		t = end
	}
	if cl.ended {
		t = long
	}
	return c.Conn.SetDeadline(t)
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	if n > 0 && !c.heard {
		c.heard = true
		c.server.breaker.answered()
	}
	if err != nil {
		c.client.unheard(c.server)
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		c.client.unheard(c.server)
	}
	return n, err
}

// Close is called by the vendor's client after an error.
func (c *conn) Close() error {
	cl := c.client
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if c.reused && !c.heard {
		cl.stale = true
	}
	cl.open = slices.DeleteFunc(cl.open, func(o *conn) bool { return o == c })
	return c.Conn.Close()
}
