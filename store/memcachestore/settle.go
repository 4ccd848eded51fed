package memcachestore

import (
	"bytes"
	"context"
	"io"
	"time"
)

// settle waits until a server has done with all that this process has read from it. A server sends a value
// and lets go of it a moment later, and until then its list of keys leaves it out. It has done so when it
// answers the connection's next question.
func (p *lanes) settle(ctx context.Context, address string) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var err error
	for _, l := range idle {
		if err != nil { // whoever asked will find out by itself
			p.release(l)
			continue
		}
		l.begin(ctx)
		if err = l.settle(address); err != nil {
			p.drop(l)
		} else {
			p.release(l)
		}
	}
}

// settle asks for the version on the lane's connections to a server, behind the back of the client: a lane
// that is idle has nothing more to read.
func (l *lane) settle(address string) error {
	l.mu.Lock()
	open := append([]*conn(nil), l.open...)
	l.mu.Unlock()
	for _, c := range open {
		if c.address != address {
			continue
		}
		_ = c.SetDeadline(time.Now().Add(l.lanes.config.Timeout))
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
