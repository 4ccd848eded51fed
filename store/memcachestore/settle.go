package memcachestore

import (
	"bytes"
	"context"
	"io"
	"time"
)

// settle waits until a server has done with all that this process has read from it. A server sends
// a value and lets go of it a moment later, and until then its list of keys leaves it out. It has
// done so when it answers the connection's next question.
func (p *pool) settle(ctx context.Context, s *server) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var err error
	for _, cl := range idle {
		if err != nil { // the caller will find out by itself
			p.release(cl)
			continue
		}
		cl.begin(ctx, s)
		if err = cl.settle(s); err != nil {
			p.drop(cl)
		} else {
			p.release(cl)
		}
	}
}

// settle asks for the version on the client's connections to a server, past the vendor's client: a
// client that is idle has nothing more to read.
func (cl *client) settle(s *server) error {
	cl.mu.Lock()
	open := append([]*conn(nil), cl.open...)
	cl.mu.Unlock()
	for _, c := range open {
		if c.server != s {
			continue
		}
		_ = c.SetDeadline(time.Now().Add(cl.pool.config.Timeout))
		if _, err := io.WriteString(c, "version\r\n"); err != nil {
			return err
		}
		answer := make([]byte, 256)
		for n := 0; !bytes.HasSuffix(answer[:n], []byte("\n")); {
			more, err := c.Read(answer[n:])
			if n += more; err != nil {
				return err
			}
			if n == len(answer) {
				return io.ErrShortBuffer
			}
		}
	}
	return nil
}
