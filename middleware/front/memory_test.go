package front

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// line is a connection in memory whose client writes in pieces: no Read returns more than one.
type line struct {
	mu     sync.Mutex
	moved  *sync.Cond
	pieces [][]byte
	ended  bool // the client writes no more
	closed bool
	out    bytes.Buffer
	until  time.Time
	timer  *time.Timer
}

func newLine() *line {
	w := &line{}
	w.moved = sync.NewCond(&w.mu)
	return w
}

// send has the server read a piece.
func (w *line) send(piece []byte) {
	w.mu.Lock()
	w.pieces = append(w.pieces, piece)
	w.moved.Broadcast()
	w.mu.Unlock()
}

// end has the server find that the client has left.
func (w *line) end() {
	w.mu.Lock()
	w.ended = true
	w.moved.Broadcast()
	w.mu.Unlock()
}

// got returns what the server has written, and whether it has closed the connection.
func (w *line) got() (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.String(), w.closed
}

func (w *line) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.closed:
			return 0, net.ErrClosed
		case !w.until.IsZero() && !time.Now().Before(w.until):
			return 0, os.ErrDeadlineExceeded
		case len(w.pieces) > 0:
			n := copy(p, w.pieces[0])
			if w.pieces[0] = w.pieces[0][n:]; len(w.pieces[0]) == 0 {
				w.pieces = w.pieces[1:]
			}
			return n, nil
		case w.ended:
			return 0, io.EOF
		}
		w.moved.Wait()
	}
}

func (w *line) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, net.ErrClosed
	}
	return w.out.Write(p)
}

func (w *line) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.moved.Broadcast()
	return nil
}

func (w *line) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = t
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if d := time.Until(t); !t.IsZero() && d > 0 {
		w.timer = time.AfterFunc(d, func() {
			w.mu.Lock()
			w.moved.Broadcast()
			w.mu.Unlock()
		})
	}
	w.moved.Broadcast()
	return nil
}

func (w *line) SetWriteDeadline(time.Time) error { return nil }
func (w *line) SetDeadline(t time.Time) error    { return w.SetReadDeadline(t) }
func (w *line) LocalAddr() net.Addr              { return lineAddr{} }
func (w *line) RemoteAddr() net.Addr             { return lineAddr{} }

type lineAddr struct{}

func (lineAddr) Network() string { return "memory" }
func (lineAddr) String() string  { return "192.0.2.1:1234" }

// memory is a listener for lines.
type memory struct {
	next   chan *line
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{next: make(chan *line), closed: make(chan struct{})} }

func (l *memory) dial() *line {
	w := newLine()
	l.next <- w
	return w
}

func (l *memory) Accept() (net.Conn, error) {
	select {
	case w := <-l.next:
		return w, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memory) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *memory) Addr() net.Addr { return lineAddr{} }
