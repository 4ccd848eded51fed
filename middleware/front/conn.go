package front

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// conn is a connection that net/http serves and that the front looks at. It knows of each byte that
// net/http has got which request it belongs to: only where net/http has got whole requests, and has
// answered them, the front reads the next one. Where that is in doubt, the connection is net/http's
// for good.
//
// net/http calls Read from one goroutine at a time: its own for the connection, or, while a handler
// runs, one that looks whether the client has left.
type conn struct {
	net.Conn
	s    *server
	self net.Conn // what net/http knows of it: the conn, or its tlsConn
	ctx  context.Context
	tls  *tls.ConnectionState // nil without TLS

	phase atomic.Int32
	idled atomic.Bool // net/http has answered the request that it was given
	rest  int64       // given: how many bytes of the request are yet to come

	opened   bool      // net/http has asked for a request
	since    time.Time // ... when it first did; zero once it has got one
	answered bool      // the front has answered a request
	hits     atomic.Uint64
	late     atomic.Int64 // by how much the next read deadline is too early, in nanoseconds

	pieces int    // heading: how many pieces of the head have come
	begun  []byte // ... and what they are

	mu      sync.Mutex
	wake    *sync.Cond
	aborted bool // net/http no longer waits for what its look at the client finds
	closed  bool
	left    int // how many bytes that look has found: 0 or 1
	byte    [1]byte

	head    head
	request request
	out     writer
}

// The phases of a connection.
const (
	waiting   int32 = iota // net/http waits for a request, and has got nothing of it
	answering              // the front looks for an answer, or sends it
	heading                // net/http has got a part of a head
	given                  // net/http has got a whole head, and maybe content, and nothing behind
	through                // it is net/http's for good
)

func (s *server) newConn(raw net.Conn) net.Conn {
	if _, ok := raw.(*tls.Conn); ok {
		return raw // net/http knows that it is TLS by its type
	}
	c := &conn{Conn: raw, s: s}
	c.self = c
	c.init()
	if to, ok := raw.(io.ReaderFrom); ok {
		c.self = &tcpConn{c, to}
	}
	return c.self
}

func (s *server) newTLSConn(t *tls.Conn) net.Conn {
	state := t.ConnectionState()
	c := &conn{Conn: t, s: s, tls: &state}
	c.self = &tlsConn{c, t}
	c.init()
	return c.self
}

func (c *conn) init() {
	c.wake = sync.NewCond(&c.mu)
	c.out.c = c
	c.s.enter(c)
}

// tcpConn is a conn by which files go out without a copy.
type tcpConn struct {
	*conn
	io.ReaderFrom
}

// connOf returns the conn behind what net/http knows, or nil.
func connOf(nc net.Conn) *conn {
	switch c := nc.(type) {
	case *conn:
		return c
	case *tcpConn:
		return c.conn
	case *tlsConn:
		return c.conn
	}
	return nil
}

// NetConn returns the connection that the front looks at.
func (c *conn) NetConn() net.Conn { return c.Conn }

// CloseWrite shuts down the writing side, where the connection can.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// becomes notes what net/http says of the connection.
func (c *conn) becomes(to http.ConnState) {
	switch to {
	case http.StateIdle:
		c.idled.Store(true)
	case http.StateHijacked:
		c.phase.Store(through)
		c.s.leave(c)
	case http.StateClosed:
		c.s.leave(c)
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	switch c.phase.Load() {
	case waiting:
		return c.next(p)
	case heading:
		return c.readHead(p)
	case given:
		switch {
		case c.rest > 0:
			return c.readContent(p)
		case len(p) == 1 && !c.idled.Load():
			return c.lookAtClient()
		case c.idled.Load() && len(p) > 1:
			c.phase.Store(waiting)
			return c.next(p)
		}
		c.phase.Store(through)
	}
	if n := c.takeLeft(p); n > 0 {
		return n, nil
	}
	return c.Conn.Read(p)
}

// takeLeft takes what the look at the client has found.
func (c *conn) takeLeft(p []byte) int {
	if c.left == 0 || len(p) == 0 {
		return 0
	}
	c.left = 0
	p[0] = c.byte[0]
	return 1
}

// leastRoom is the least that net/http asks for when it reads a request from a new connection or
// one that has been idle: its buffer is empty then, and far larger.
const leastRoom = 1 << 10

// leastBegun is of how many bytes net/http waits for before it begins to read a request, but the
// first of a connection: who sends fewer and leaves gets no answer.
const leastBegun = 4

// next reads requests, and answers them for as long as there are hits. It returns what net/http is
// to get of the first other one.
func (c *conn) next(p []byte) (int, error) {
	if len(p) < leastRoom {
		c.phase.Store(through)
		return c.Read(p)
	}
	if !c.opened {
		c.opened, c.since = true, time.Now()
	}
	for {
		switch {
		case c.s.draining.Load(), c.s.stops() && c.answered:
			return 0, io.EOF // as net/http ends a connection after a response
		case c.s.stops():
			c.phase.Store(through)
			return c.Read(p)
		}
		left := c.takeLeft(p)
		n, err := c.Conn.Read(p[left:])
		if n += left; n == 0 || err != nil {
			c.phase.Store(through)
			if left > 0 {
				err = nil // it comes again
			}
			return n, err
		}
		for n < leastBegun && c.answered && !c.since.IsZero() {
			more, err := c.Conn.Read(p[n:])
			if more == 0 || err != nil {
				return 0, err
			}
			n += more
		}
		if t := c.head.read(p[:n], c.s); t != nil {
			switch answered, err := c.answer(p[:n], t); {
			case err != nil, answered && c.head.last:
				return 0, io.EOF // of any other error net/http would write that behind the response
			case answered:
				continue
			}
		}
		c.give(p[:n])
		return n, nil
	}
}

// answer answers a request, whose head is b, if a stored response is a hit.
func (c *conn) answer(b []byte, t *middleware.Target) (answered bool, err error) {
	c.phase.Store(answering)
	defer c.phase.Store(waiting)
	if c.s.stops() {
		return false, nil
	}
	w := c.out.begin(c.request.of(c, b, t), t)
	answers := false
	if c.s.answer != nil {
		answers = c.s.answer(t, w, c.request.r)
	} else {
		answers = t.Answer(w, c.request.r)
	}
	if !answers {
		return false, nil
	}
	if err := c.out.end(); err != nil {
		return false, err
	}
	c.head.keep(b)
	switch first := !c.answered; {
	case c.s.idle > 0:
		c.Conn.SetReadDeadline(time.Now().Add(c.s.idle))
	case first && !c.since.IsZero() && c.s.header > 0: // that of a head which has come by now
		c.Conn.SetReadDeadline(time.Time{})
	}
	c.answered = true
	c.hits.Add(1)
	return true, nil
}

// give notes what net/http gets of a request that it waits for: its first bytes, or all of it. When
// net/http reads the first request of a connection, it reckons from when it first asked for one.
func (c *conn) give(b []byte) {
	c.idled.Store(false)
	if c.answered && !c.since.IsZero() {
		now := time.Now()
		c.late.Store(int64(now.Sub(c.since)))
		if !c.head.whole {
			var until time.Time
			if c.s.header > 0 {
				until = now.Add(c.s.header)
			}
			c.Conn.SetReadDeadline(until)
		}
	}
	c.since = time.Time{}
	c.pieces, c.begun = 0, c.begun[:0]
	c.follow(b)
}

// mostPieces is of how many pieces a head may come until its connection is net/http's for good.
const mostPieces = 16

// follow goes by what c.head says of b, the bytes of a request that net/http has.
func (c *conn) follow(b []byte) {
	h := &c.head
	switch rest := h.size + max(h.content, 0) - int64(len(b)); {
	case h.whole && rest >= 0 && !h.last:
		c.rest = rest
		c.phase.Store(given)
	case !h.whole && !h.odd && c.pieces < mostPieces && len(b) < c.s.maxHead:
		if c.pieces++; c.pieces == 1 {
			c.begun = append(c.begun, b...)
		}
		c.phase.Store(heading)
		return
	default:
		c.phase.Store(through)
	}
	c.begun = nil
}

// readHead reads more of a head that net/http has the beginning of.
func (c *conn) readHead(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 || err != nil {
		c.phase.Store(through)
		return n, err
	}
	c.begun = append(c.begun, p[:n]...)
	c.head.read(c.begun, c.s)
	c.follow(c.begun)
	return n, nil
}

// readContent reads more of the content of a request, and nothing of what is behind.
func (c *conn) readContent(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.rest)])
	c.rest -= int64(n)
	return n, err
}

// lookAtClient waits until the client leaves, or net/http does not wait for that any more. It gives
// net/http no byte: that would be one of the next request.
func (c *conn) lookAtClient() (int, error) {
	n, err := c.Conn.Read(c.byte[:])
	if n == 0 {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.left = 1; !c.aborted && !c.closed; {
		c.wake.Wait()
	}
	return 0, os.ErrDeadlineExceeded
}

// longAgo is after the moment that net/http sets as a deadline to end a read.
var longAgo = time.Unix(1<<20, 0)

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	past := !t.IsZero() && t.Before(longAgo)
	if late := c.late.Swap(0); late != 0 && !t.IsZero() && !past {
		t = t.Add(time.Duration(late))
	}
	c.mu.Lock()
	if c.aborted = past; past {
		c.wake.Broadcast()
	}
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

// Close implements net.Conn. Where keep-alives have been switched off, a hit that is under way is
// finished first: net/http takes the connection for an idle one.
func (c *conn) Close() error {
	if c.phase.Load() == answering && !c.s.draining.Load() && c.s.stops() {
		c.Conn.SetWriteDeadline(time.Now().Add(drainFor))
		return nil // the connection ends after the hit, and closes this again
	}
	c.mu.Lock()
	c.closed = true
	c.wake.Broadcast()
	c.mu.Unlock()
	c.s.leave(c)
	return c.Conn.Close()
}

// quiet has the connection end if it waits for a request, and reports whether no hit is under way.
func (c *conn) quiet() bool {
	switch c.phase.Load() {
	case waiting:
		c.Conn.SetReadDeadline(time.Unix(1, 0))
	case answering:
		return false
	}
	return true
}

// remote is the client's address.
func (c *conn) remote() string {
	if a := c.Conn.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}
