package middleware

import (
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"time"
)

const (
	// bigBody is the longest body, in bytes, that is written at once, and that is not counted while its client reads.
	bigBody = 64 << 10
	// ownBuffer is how much of a response net/http holds itself: no Write waits for a client that has been sent no
	// more.
	ownBuffer = 4 << 10
	// pieceSize is how much of a longer body is written at once. A client that does not take even that within
	// Cache.StallTimeout makes no progress.
	pieceSize = 32 << 10
)

var errStalled = errors.New("middleware: the client took nothing for too long")

// stall watches the writes to one client, and cuts it off when one takes too long. It sets a write deadline only then,
// to a moment in the past: a deadline of the server's or of the app's is never put off. A nil *stall watches
// nothing. Each
// write begins and ends in one goroutine; cut may come from any.
type stall struct {
	limit    time.Duration         // 0 or less: none
	deadline func(time.Time) error // of the client's connection, or HTTP/2 stream

	mu    sync.Mutex
	timer *time.Timer
	since time.Time // when the write that goes on began; zero: none does
	dead  bool
}

// newStall returns what watches the writes to w, or nil when w has no deadlines.
func newStall(c *Cache, w http.ResponseWriter) *stall {
	deadline := deadlineOf(w)
	if deadline == nil {
		return nil
	}
	return &stall{limit: c.StallTimeout, deadline: deadline}
}

// deadlineOf finds what http.ResponseController would. It is looked up beforehand, in the request's own goroutine,
// because outer writers are not to be touched from another.
func deadlineOf(w http.ResponseWriter) func(time.Time) error {
	for {
		switch t := w.(type) {
		case *recorder:
			w = t.run.w
		case interface{ SetWriteDeadline(time.Time) error }:
			return t.SetWriteDeadline
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil
		}
	}
}

func (s *stall) begin() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Now()
	switch {
	case s.limit <= 0:
	case s.timer == nil:
		s.timer = time.AfterFunc(s.limit, func() { s.cutAfter(s.limit) })
	default:
		s.timer.Reset(s.limit)
	}
}

// end ends a write, and returns an error if the client was cut off.
func (s *stall) end() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.dead {
		return errStalled
	}
	return nil
}

// lasts returns for how long the write has gone on that the client has not taken.
func (s *stall) lasts(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		return 0
	}
	return now.Sub(s.since)
}

// cutAfter cuts the client off if the write that goes on has lasted so long. No deadline is set but during a write:
// later the connection may be another request's.
func (s *stall) cutAfter(limit time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead && !s.since.IsZero() && time.Since(s.since) >= limit {
		s.dead = true
		s.deadline(time.Unix(1, 0))
	}
}

// write writes p in pieces.
func (s *stall) write(w io.Writer, p []byte) (written int, err error) {
	if s == nil {
		return w.Write(p)
	}
	for len(p) > 0 && err == nil {
		piece := p
		if len(p) > pieceSize+ownBuffer { // or net/http would hold the little that is left
			piece = p[:pieceSize]
		}
		s.begin()
		var n int
		n, err = w.Write(piece)
		if stalled := s.end(); stalled != nil {
			err = stalled
		}
		written += n
		p = p[len(piece):]
	}
	return written, err
}

// flush flushes w.
func (s *stall) flush(w http.ResponseWriter) error {
	s.begin()
	defer s.end()
	return http.NewResponseController(w).Flush()
}

// copy copies from src in pieces, by w's own ReadFrom, and so by sendfile, if it has one.
func (s *stall) copy(w io.Writer, src io.Reader) (written int64, err error) {
	if s == nil {
		return io.Copy(w, src)
	}
	all, ok := src.(*io.LimitedReader) // net finds the file in one, and not in two
	if !ok {
		all = &io.LimitedReader{R: src, N: math.MaxInt64}
	}
	var buf []byte
	if _, ok := w.(io.ReaderFrom); !ok {
		buf = make([]byte, pieceSize)
	}
	for all.N > 0 {
		piece := io.LimitedReader{R: all.R, N: min(all.N, pieceSize)}
		asked := piece.N
		s.begin()
		n, err := io.CopyBuffer(w, &piece, buf)
		if stalled := s.end(); stalled != nil {
			err = stalled
		}
		written += n
		all.N -= n
		if err != nil || n < asked {
			return written, err
		}
	}
	return written, nil
}

// watched is a writer whose writes a stall watches, once they may wait for the client.
type watched struct {
	sent  int64
	stall *stall // nil until then, and where the client has no deadlines
}

// watch returns what watches the next n bytes, of which it may have to wait for the client.
func (w *watched) watch(c *Cache, client http.ResponseWriter, n int64) *stall {
	if w.sent += n; w.sent > ownBuffer && w.stall == nil {
		w.stall = newStall(c, client)
	}
	return w.stall
}

// copy copies from src. It is watched from the first byte, because net/http's own ReadFrom holds nothing.
func (w *watched) copy(c *Cache, client http.ResponseWriter, src io.Reader) (int64, error) {
	return w.watch(c, client, ownBuffer+1).copy(client, src)
}
