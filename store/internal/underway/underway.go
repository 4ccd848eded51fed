// Package underway tells an answer that was still coming when the time of its call was up from a
// server that does not answer.
package underway

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// enough is how many bytes of an answer show that the server is well: what is shorter comes at once.
const enough = 64 << 10

// Meter counts what has come of an answer on one connection. It is safe for concurrent use.
type Meter struct {
	came atomic.Int64
	cut  atomic.Bool
}

// Asked begins with the answer to the next question.
func (m *Meter) Asked() { m.came.Store(0) }

// Came counts n bytes, and returns err: a timeout that ends an answer of which at least 64 KiB have
// come matches store.ErrUnderway.
func (m *Meter) Came(n int, err error) error {
	came := m.came.Add(int64(n))
	if err == nil || came < enough {
		return err
	}
	var network net.Error
	if !errors.As(err, &network) || !network.Timeout() {
		return err
	}
	m.cut.Store(true)
	return &timeout{network}
}

// Cut reports whether Came has returned such a timeout. The connection is of no use any more.
func (m *Meter) Cut() bool { return m.cut.Load() }

type timeout struct{ cause net.Error }

func (t *timeout) Error() string   { return fmt.Sprintf("%v: %v", t.cause, store.ErrUnderway) }
func (t *timeout) Unwrap() []error { return []error{t.cause, store.ErrUnderway} }
func (t *timeout) Timeout() bool   { return true }
func (t *timeout) Temporary() bool { return true }

// Conn is a connection with a Meter of what is read from it after each write.
type Conn struct {
	net.Conn
	Meter
}

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.Came(n, err)
}

func (c *Conn) Write(b []byte) (int, error) {
	c.Asked()
	return c.Conn.Write(b)
}
