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
)

// lanes are the clients of a Backend. The vendor's client knows no context. So each call has a client, with
// connections of its own, to itself for as long as it lasts: then what waits there can be ended when the
// call's context is done. No call needs a goroutine for that, and none is left behind.
type lanes struct {
	config  Config
	servers *servers
	done    context.Context // done when closed
	end     context.CancelFunc

	mu   sync.Mutex
	idle []*lane // the one used last is used next
	all  map[*lane]struct{}
}

func newLanes(c Config, s *servers) *lanes {
	p := &lanes{config: c, servers: s, all: make(map[*lane]struct{})}
	p.done, p.end = context.WithCancel(context.Background())
	return p
}

// begin gives a lane to a call; nil if closed. release takes it back.
func (p *lanes) begin(ctx context.Context) *lane {
	l := p.get()
	if l == nil {
		return nil
	}
	l.begin(ctx)
	return l
}

func (p *lanes) get() *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done.Err() != nil {
		return nil
	}
	if last := len(p.idle) - 1; last >= 0 {
		l := p.idle[last]
		p.idle = p.idle[:last]
		return l
	}
	l := &lane{lanes: p, client: memcache.NewFromSelector(p.servers)}
	l.client.Timeout = p.config.Timeout
	l.client.DialContext = l.dial
	p.all[l] = struct{}{}
	return l
}

func (p *lanes) release(l *lane) {
	l.end()
	p.mu.Lock()
	kept := len(p.idle) < p.config.PoolSize && p.done.Err() == nil
	if kept {
		p.idle = append(p.idle, l)
	}
	p.mu.Unlock()
	if !kept {
		p.drop(l)
	}
}

// drop ends a lane that a call has.
func (p *lanes) drop(l *lane) {
	l.end()
	p.mu.Lock()
	delete(p.all, l)
	p.mu.Unlock()
	l.close()
}

func (p *lanes) close() {
	p.mu.Lock()
	p.end()
	all := p.all
	p.all, p.idle = nil, nil
	p.mu.Unlock()
	for l := range all {
		l.close()
	}
}

// lane is a client that one call uses at a time.
type lane struct {
	lanes  *lanes
	client *memcache.Client
	ctx    context.Context // of the call in progress
	stop   func() bool     // ends the listening to ctx; nil: nobody listens

	mu     sync.Mutex
	call   uint64 // the call's number, from 1
	ended  bool   // the call's context is done
	stale  bool   // a connection ended that had served an earlier call, before it said anything
	closed bool
	open   []*conn
}

func (l *lane) begin(ctx context.Context) {
	l.ctx = ctx
	l.mu.Lock()
	l.call++
	l.ended, l.stale = false, false
	call := l.call
	l.mu.Unlock()
	if ctx := deadline.Only(ctx); ctx.Done() != nil { // or else SetDeadline sees to it
		l.stop = context.AfterFunc(ctx, func() { l.interrupt(call) })
	}
}

func (l *lane) end() {
	if l.stop != nil {
		l.stop()
	}
	l.ctx, l.stop = nil, nil
}

// long is a time that has passed.
var long = time.Unix(1, 0)

// interrupt ends the waiting of a call, if it still lasts.
func (l *lane) interrupt(call uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.call != call {
		return
	}
	l.ended = true
	for _, c := range l.open {
		_ = c.Conn.SetDeadline(long)
	}
}

func (l *lane) wasStale() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stale
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.open {
		_ = c.Conn.Close()
	}
	l.open = nil
}

// dial makes a connection for the call in progress. The context given is the client's own.
func (l *lane) dial(_ context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.lanes.config.DialTimeout)
	defer cancel()
	defer context.AfterFunc(l.lanes.done, cancel)()
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = nc.Close()
		return nil, net.ErrClosed
	}
	c := &conn{Conn: nc, in: bufio.NewReaderSize(nc, readBuffer), lane: l, address: address}
	l.open = append(l.open, c)
	return c, nil
}

// readBuffer is how much a connection reads at once. The client would read 4 KiB, and so ask the system twice for
// most pages.
const readBuffer = 16 << 10

// conn is a connection of a lane.
type conn struct {
	net.Conn
	in      *bufio.Reader // of Conn
	lane    *lane
	address string // dialled
	call    uint64 // the call that it serves
	reused  bool   // it has served another before
	heard   bool   // the server has said something in this call
}

// SetDeadline is how the client gives a call its time: anew for each line of an answer. Here the first
// counts, lest a slow server have several times as much; and a call whose context has ended has none.
func (c *conn) SetDeadline(t time.Time) error {
	l := c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.call == l.call {
		return nil
	}
	c.call, c.reused, c.heard = l.call, c.call != 0, false
	if end, ok := l.ctx.Deadline(); ok && end.Before(t) {
		t = end
	}
	if l.ended {
		t = long
	}
	return c.Conn.SetDeadline(t)
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	if n > 0 {
		c.heard = true
	}
	return n, err
}

// Close is how the client gives up a connection after an error.
func (c *conn) Close() error {
	l := c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.reused && !c.heard {
		l.stale = true
	}
	l.open = slices.DeleteFunc(l.open, func(o *conn) bool { return o == c })
	return c.Conn.Close()
}
