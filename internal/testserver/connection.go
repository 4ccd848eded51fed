package testserver

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

const dialTimeout = 10 * time.Second

// connection is one client's through a FaultProxy.
type connection struct {
	proxy  *FaultProxy
	client *net.TCPConn
	ctx    context.Context // done when the connection has ended
	end    context.CancelFunc

	mu     sync.Mutex
	server net.Conn // nil until dialled
}

func newConnection(p *FaultProxy, client *net.TCPConn) *connection {
	c := &connection{proxy: p, client: client}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// close ends both sides; c may have ended.
func (c *connection) close() {
	c.end()
	c.client.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		c.server.Close()
	}
}

// reset ends both sides, and the client learns that nobody is there.
func (c *connection) reset() {
	_ = c.client.SetLinger(0)
	c.close()
}

// serve returns when both sides are closed.
func (c *connection) serve() {
	defer c.close()
	if !c.hold(swallowing) {
		return
	}
	server := c.dial()
	if server == nil {
		c.hangUp()
		return
	}
	var requests sync.WaitGroup
	defer requests.Wait()
	defer c.close()
	requests.Go(func() {
		defer c.close()
		c.request(server)
	})
	c.reply(server)
}

// request passes on what the client says, until one of the two ends.
func (c *connection) request(server net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.client.Read(buffer)
		if !c.hold(swallowing) {
			return
		}
		if n > 0 {
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *connection) dial() net.Conn {
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(c.ctx, "tcp", c.proxy.to())
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		server.Close()
		return nil
	}
	c.server = server
	return server
}

// hangUp closes a connection that has no server: at once, but while the proxy hangs the client must
// not notice.
func (c *connection) hangUp() {
	var requests sync.WaitGroup
	defer requests.Wait()
	defer c.close()
	requests.Go(func() {
		defer c.close()
		_, _ = io.Copy(io.Discard, c.client)
	})
	c.hold(hanging)
}

func hanging(m mode) bool    { return m.hang }
func swallowing(m mode) bool { return m.swallow }

// hold waits while the proxy is in such a mode, and reports whether the connection still exists.
func (c *connection) hold(while func(mode) bool) bool {
	for {
		mode, changed := c.proxy.now()
		if !while(mode) {
			return c.ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return false
		}
	}
}

// reply passes on what the server says, until one of the two ends.
func (c *connection) reply(server net.Conn) {
	buffer := make([]byte, 64<<10)
	var sent int                // since the mode was set
	_, counted := c.proxy.now() // changed of the mode in which sent was counted
	for {
		n, err := server.Read(buffer)
		if n > 0 && !c.deliver(buffer[:n], &sent, &counted) {
			return
		}
		if err != nil {
			c.hold(hanging)
			return
		}
	}
}

// deliver sends one piece as the mode wants it. If that changes meanwhile, the rest goes by the new
// one. It reports whether the connection still exists.
func (c *connection) deliver(piece []byte, sent *int, counted *<-chan struct{}) bool {
	altered := false
	for len(piece) > 0 {
		mode, changed := c.proxy.now()
		if changed != *counted {
			*sent, *counted = 0, changed
		}
		next := len(piece)
		pause := time.Duration(0)
		switch {
		case mode.hang && *sent >= mode.hangAt:
			if !c.hold(hanging) {
				return false
			}
			continue
		case mode.hang:
			next = min(next, mode.hangAt-*sent)
		case mode.cut:
			if *sent >= mode.cutAt {
				c.reset()
				return false
			}
			next = min(next, mode.cutAt-*sent)
		case mode.trickle > 0:
			next = min(next, max(1, mode.trickle/100))
			pause = time.Duration(next) * time.Second / time.Duration(mode.trickle)
		case mode.alter != nil && !altered:
			piece, altered = mode.alter(piece), true
			continue
		}
		// The pause comes first: a fast client must not get a second's share at once by asking
		// often.
		if pause > 0 && !c.wait(pause, changed) {
			continue
		}
		if _, err := c.client.Write(piece[:next]); err != nil {
			return false
		}
		*sent += next
		piece = piece[next:]
	}
	mode, changed := c.proxy.now()
	if mode.cut && changed == *counted && *sent >= mode.cutAt {
		c.reset()
		return false
	}
	return true
}

// wait reports whether the mode lasted so long. An ended connection is found out by the next write.
func (c *connection) wait(pause time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return true
	case <-changed:
		return false
	}
}
