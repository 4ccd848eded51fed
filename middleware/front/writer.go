package front

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/wire"
	"github.com/freshet-go/freshet/middleware"
)

// writer is the http.ResponseWriter of hits.
type writer struct {
	c       *conn
	r       *http.Request
	header  http.Header
	fields  wire.Header
	status  int  // 0: nothing has been sent
	pending bool // the head has yet to go out
	made    bool // ... and is in text
	text    []byte
	parts   [2][]byte
	both    net.Buffers
	length  int64 // of the content, as the head says; -1: it has none
	sent    int64 // ... that has gone out
	err     error

	limited atomic.Bool // SetWriteDeadline has been called
}

var errLength = errors.New("front: the content of a response is not as long as its head says")

// begin returns the writer, ready for the response to r.
func (w *writer) begin(r *http.Request, t *middleware.Target) *writer {
	if t.Shown || w.header == nil {
		w.header = http.Header{}
	} else {
		clear(w.header)
	}
	w.r, w.status, w.pending, w.made, w.err = r, 0, false, false, nil
	w.length, w.sent = -1, 0
	return w
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.header }

// SetWriteDeadline has a client cut off that takes nothing.
func (w *writer) SetWriteDeadline(t time.Time) error {
	w.limited.Store(true)
	return w.c.Conn.SetWriteDeadline(t)
}

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if on := w.c.s.onHit; on != nil {
		on(w.header, w.r)
	}
	middleware.Leaves(w.header)
	w.starts(status)
}

// starts begins a response.
func (w *writer) starts(status int) {
	s := w.c.s
	w.status, w.pending = status, true
	if s.state != nil {
		s.state(w.c.self, http.StateActive)
	}
	if s.write > 0 {
		w.c.Conn.SetWriteDeadline(time.Now().Add(s.write))
	}
}

// mostCopied is how long content is copied behind its head at most, rather than sent beside it.
const mostCopied = 2 << 10

// mostKept is how much memory a connection keeps for the next head.
const mostKept = 8 << 10

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (n int, err error) {
	switch {
	case w.err != nil:
		return 0, w.err
	case !w.pending:
		n, w.err = w.c.Conn.Write(p)
		w.sent += int64(n)
		return n, w.err
	}
	w.pending = false
	w.writeHead(-1)
	if len(p) <= mostCopied {
		w.text = append(w.text, p...)
		_, w.err = w.c.Conn.Write(w.text)
	} else {
		w.parts = [2][]byte{w.text, p}
		w.both = w.parts[:]
		_, w.err = w.both.WriteTo(w.c.Conn)
		w.parts = [2][]byte{}
	}
	if w.err != nil {
		return 0, w.err
	}
	w.sent += int64(len(p))
	return len(p), nil
}

// end sends the head of a response without content, and ends it. What is shorter or longer than its
// head says fails, so that nothing follows it.
func (w *writer) end() error {
	if w.pending {
		w.pending = false
		w.writeHead(0)
		_, w.err = w.c.Conn.Write(w.text)
	}
	if w.err == nil && w.length >= 0 && w.length != w.sent {
		w.err = errLength
	}
	s := w.c.s
	if w.limited.Swap(false) || s.write > 0 {
		w.c.Conn.SetWriteDeadline(time.Time{})
	}
	if s.state != nil && w.err == nil && !w.c.head.last {
		s.state(w.c.self, http.StateIdle)
	}
	w.r = nil
	if cap(w.text) > mostKept {
		w.text = nil
	}
	return w.err
}

// WriteFields implements [middleware.FieldWriter].
func (w *writer) WriteFields(
	status int, fields *[3][]byte, age, cacheStatus string, length int64,
) bool {
	if w.c.s.onHit != nil {
		return false
	}
	w.starts(status)
	w.length = length
	w.made = true
	b := append(wire.AppendStatus(w.text[:0], status), fields[0]...)
	b = append(append(b, "Age: "...), age...)
	b = append(append(b, "\r\n"...), fields[1]...)
	b = append(append(b, "Cache-Status: "...), cacheStatus...)
	b = append(append(b, "\r\n"...), fields[2]...)
	w.text = w.endHead(b)
	return true
}

// endHead ends the head.
func (w *writer) endHead(b []byte) []byte {
	if w.c.head.last {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

// writeHead makes the head, as net/http would. content is how long the content is, where that is
// known.
func (w *writer) writeHead(content int) {
	if w.made {
		return
	}
	h := w.header
	w.frame(content)
	b := w.fields.Append(wire.AppendStatus(w.text[:0], w.status), h, w.status)
	if _, dated := h["Date"]; !dated {
		b = append(b, "Date: "...)
		b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
		b = append(b, "\r\n"...)
	}
	if content == 0 && w.hasContent() && h["Content-Length"] == nil {
		b = append(b, "Content-Length: 0\r\n"...)
	}
	w.text = w.endHead(b)
}

// hasContent reports whether the response has content, be it empty.
func (w *writer) hasContent() bool {
	return !wire.Bodiless(w.status) && w.r.Method != http.MethodHead
}

// frame finds out from the header how long the content is, where functions of the app may have
// changed that. Content whose length is not known ends with the connection.
func (w *writer) frame(content int) {
	h := w.header
	delete(h, "Transfer-Encoding") // whatever it says: there is none
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "close") {
				w.c.head.last = true
			}
		}
	}
	if w.c.head.last {
		delete(h, "Connection")
	}
	if !w.hasContent() {
		return
	}
	length, err := int64(-1), error(nil)
	if lines := h["Content-Length"]; len(lines) == 1 {
		if length, err = strconv.ParseInt(lines[0], 10, 64); err != nil || length < 0 {
			length = -1
		}
	}
	switch {
	case length >= 0:
		w.length = length
	case content != 0 || h["Content-Length"] != nil:
		delete(h, "Content-Length")
		w.c.head.last = true
	}
}
