// Package stall cuts off clients that take nothing of a response for too long.
package stall

import (
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"time"
)

const (
	// ServerBuffer is how much of a response net/http holds itself: no Write waits for a client
	// that has been sent no more.
	ServerBuffer = 4 << 10
	// pieceSize is how much of a longer body is written at once. A client that does not take even
	// that within the limit makes no progress.
	pieceSize = 32 << 10
)

// ErrStalled is the error of a write to a client that was cut off.
var ErrStalled = errors.New("middleware: the client took nothing for too long")

// Watch watches the writes to one client, and cuts it off when one takes too long. It sets a write
// deadline only then, to a moment in the past: it never puts off a deadline of the server's or of
// the app's. A nil *Watch watches nothing. Each write begins and ends in one goroutine; CutAfter
// and Lasts may be called from any.
type Watch struct {
	limit    time.Duration         // 0 or less: none
	deadline func(time.Time) error // of the client's connection, or HTTP/2 stream

	mu    sync.Mutex
	timer *time.Timer
	since time.Time // when the write that goes on began; zero: none does
	dead  bool
}

// New returns a Watch that cuts the client off when a write lasts for limit; 0 or less: only
// CutAfter does. deadline sets the write deadline of the client. If it is nil, New returns nil.
func New(limit time.Duration, deadline func(time.Time) error) *Watch {
	if deadline == nil {
		return nil
	}
	return &Watch{limit: limit, deadline: deadline}
}

func (w *Watch) begin() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
	switch {
	case w.limit <= 0:
	case w.timer == nil:
		w.timer = time.AfterFunc(w.limit, func() { w.CutAfter(w.limit) })
	default:
		w.timer.Reset(w.limit)
	}
}

// end ends a write, and returns an error if the client was cut off.
func (w *Watch) end() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Time{}
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.dead {
		return ErrStalled
	}
	return nil
}

// Lasts returns how long the write has gone on that the client has not taken; 0 if none does.
func (w *Watch) Lasts(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return 0
	}
	return now.Sub(w.since)
}

// CutAfter cuts the client off if the write that goes on has lasted for limit. It sets no deadline
// but during a write: later the connection may be another request's.
func (w *Watch) CutAfter(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dead && !w.since.IsZero() && time.Since(w.since) >= limit {
		w.dead = true
		w.deadline(time.Unix(1, 0))
	}
}

// Write writes p to the client in pieces.
func (w *Watch) Write(client io.Writer, p []byte) (written int, err error) {
	if w == nil {
		return client.Write(p)
	}
	for len(p) > 0 && err == nil {
		piece := p
		if len(p) > pieceSize+ServerBuffer { // or net/http would hold the little that is left
			piece = p[:pieceSize]
		}
		var n int
		n, err = w.write(client, piece)
		written += n
		p = p[len(piece):]
	}
	return written, err
}

// write writes a piece. The write ends though it panics: a handler outside may recover, and the
// connection go on.
func (w *Watch) write(client io.Writer, piece []byte) (n int, err error) {
	w.begin()
	defer func() {
		if stalled := w.end(); stalled != nil {
			err = stalled
		}
	}()
	return client.Write(piece)
}

// Flush flushes the client.
func (w *Watch) Flush(client http.ResponseWriter) error {
	w.begin()
	defer w.end()
	return http.NewResponseController(client).Flush()
}

// Copy copies from src to the client in pieces, by the client's own ReadFrom, and so by sendfile,
// if it has one.
func (w *Watch) Copy(client io.Writer, src io.Reader) (written int64, err error) {
	if w == nil {
		return io.Copy(client, src)
	}
	all, ok := src.(*io.LimitedReader) // net finds the file in one, and not in two
	if !ok {
		all = &io.LimitedReader{R: src, N: math.MaxInt64}
	}
	var buf []byte
	if _, ok := client.(io.ReaderFrom); !ok {
		buf = make([]byte, pieceSize)
	}
	for all.N > 0 {
		piece := io.LimitedReader{R: all.R, N: min(all.N, pieceSize)}
		asked := piece.N
		n, err := w.copy(client, &piece, buf)
		written += n
		all.N -= n
		if err != nil || n < asked {
			return written, err
		}
	}
	return written, nil
}

// copy copies a piece, as write writes one.
func (w *Watch) copy(client io.Writer, piece *io.LimitedReader, buf []byte) (n int64, err error) {
	w.begin()
	defer func() {
		if stalled := w.end(); stalled != nil {
			err = stalled
		}
	}()
	return io.CopyBuffer(client, piece, buf)
}
