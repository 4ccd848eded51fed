package testserver

import (
	"net"
	"sync"
	"testing"
	"time"
)

// A FaultProxy stands between a client and a server and spoils what goes through. It is always in
// one mode, at first Pass. A change of mode holds at once, for connections that exist and for later
// ones. What clients send is passed on in every mode in which there is a connection. Its methods
// are safe for concurrent use.
type FaultProxy struct {
	Addr string // host:port

	tb   testing.TB
	work sync.WaitGroup // accepting and serving

	mu          sync.Mutex
	target      string
	listener    net.Listener // nil: refusing or closed
	mode        mode
	changed     chan struct{} // closed when mode is no longer the mode
	connections map[*connection]struct{}
	accepted    int
	closed      bool
}

// mode is what happens to replies. The zero value passes them.
type mode struct {
	refuse  bool
	hang    bool
	hangAt  int  // after so many bytes of reply
	swallow bool // what clients send hangs as well
	trickle int  // bytes a second; 0: as fast as can be
	cut     bool
	cutAt   int
	alter   func([]byte) []byte
}

// Proxy starts a proxy before the server at target, which need not be there. It ends with the test.
func Proxy(tb testing.TB, target string) *FaultProxy {
	tb.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &FaultProxy{
		Addr: l.Addr().String(), tb: tb, target: target,
		changed: make(chan struct{}), connections: make(map[*connection]struct{}),
	}
	p.mu.Lock()
	p.listen(l)
	p.mu.Unlock()
	tb.Cleanup(p.close)
	return p
}

// Pass lets all through, also what was held back.
func (p *FaultProxy) Pass() { p.set(mode{}) }

// Refuse resets all connections and takes no new ones, as if no server were there.
func (p *FaultProxy) Refuse() { p.set(mode{refuse: true}) }

// Hang takes connections and reads what clients send, but no reply comes, not even an end.
func (p *FaultProxy) Hang() { p.set(mode{hang: true}) }

// Swallow loses all packets, as a network does that is down: connections stay, new ones seem to be
// made, nothing arrives at either end, and neither end gets an error. When it passes again, what was sent
// arrives after all, late, as TCP has it.
func (p *FaultProxy) Swallow() { p.set(mode{hang: true, swallow: true}) }

// HangAfter lets n bytes of reply through on each connection, counted from now on or from its
// beginning, and then hangs.
func (p *FaultProxy) HangAfter(n int) { p.set(mode{hang: true, hangAt: n}) }

// Trickle lets replies through at so many bytes a second on each connection, at least 1.
func (p *FaultProxy) Trickle(bytesPerSecond int) { p.set(mode{trickle: max(1, bytesPerSecond)}) }

// CutAfter resets each connection after n bytes of reply, counted from now on or from its
// beginning. With 0 it does so when the server begins to reply.
func (p *FaultProxy) CutAfter(n int) { p.set(mode{cut: true, cutAt: n}) }

// Alter passes replies through f, which may change what it gets but not keep it. It gets replies in
// the pieces in which they arrive, up to 64 KiB each, and from several connections at once.
func (p *FaultProxy) Alter(f func(reply []byte) []byte) { p.set(mode{alter: f}) }

// Drop closes all connections there are, and leaves the mode as it is.
func (p *FaultProxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		c.close()
	}
}

// To closes all connections there are, and passes on those that come to another server.
func (p *FaultProxy) To(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
	p.Drop()
}

func (p *FaultProxy) to() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// Connections is how many clients are connected now.
func (p *FaultProxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.connections)
}

// Accepted is how many connections there have been.
func (p *FaultProxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

func (p *FaultProxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.mode = m
	close(p.changed)
	p.changed = make(chan struct{})
	if m.refuse {
		p.refuse()
		return
	}
	// The port may have been lent out for a moment as the near end of some connection.
	for end := time.Now().Add(5 * time.Second); p.listener == nil; {
		l, err := net.Listen("tcp4", p.Addr)
		if err == nil {
			p.listen(l)
		} else if time.Now().After(end) {
			p.tb.Errorf("testserver: the proxy cannot listen again: %v", err)
			return
		} else {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// now is the mode, and what closes when it changes.
func (p *FaultProxy) now() (mode, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.changed
}

// listen accepts connections until the listener is closed; p.mu is held.
func (p *FaultProxy) listen(l net.Listener) {
	p.listener = l
	p.work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.admit(l, client.(*net.TCPConn))
		}
	})
}

func (p *FaultProxy) admit(l net.Listener, client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := newConnection(p, client)
	if p.listener != l {
		c.reset()
		return
	}
	p.connections[c] = struct{}{}
	p.accepted++
	p.work.Go(func() {
		c.serve()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.connections, c)
	})
}

// refuse closes the listener and resets the connections; p.mu is held.
func (p *FaultProxy) refuse() {
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for c := range p.connections {
		c.reset()
	}
}

func (p *FaultProxy) close() {
	p.mu.Lock()
	p.closed = true
	p.refuse()
	p.mu.Unlock()
	p.work.Wait()
}
