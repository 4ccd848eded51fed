package middleware

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HoldBack is how many bytes of a body are held back at most, until the handler flushes or returns,
// so that the cache's ETag can be made from the whole content and the response sent with its
// length. A longer response streams from then on, and gets a tag that is not made from its content.
const HoldBack = 32 << 10

// sink is what a recorder reports to.
type sink interface {
	client() http.ResponseWriter // the leader's
	onInform(status int)         // an informational header is complete
	onBegin()                    // the final header is about to be taken
	onHeader(status int)         // ... and is complete
	onHijack()                   // the handler has taken the connection
	holds() bool                 // what the handler writes is held back
	takeBack()                   // what was held back is not the answer, and another one comes
	decide()                     // no more can be held back
	write(p []byte) (int, error) // takes a part of the body that is not held back
	copies() bool                // copyFrom may be called in the place of write
	copyFrom(src io.Reader) (int64, error)
	flush() error
}

// recorder is the http.ResponseWriter that the handler of a fill gets. It behaves as net/http's
// own.
type recorder struct {
	to       sink
	veil     *veil       // or nil
	headless bool        // the request is for HEAD: nobody gets the body
	header   http.Header // what the handler sees and writes
	outer    http.Header // what was in the header before the handler: not the handler's
	frozen   http.Header // the header as it was at WriteHeader
	wrote    bool
	status   int
	received time.Time // when the header was complete
	declared int64     // the handler's Content-Length, or -1
	written  int64
	given    http.Header // outer, with the very slices of values that the handler was given
	again    []string    // the fields of outer that the handler has set to the values that they had
	held     []byte      // the body, while it is held back
	coming   []byte      // what is being written, while the response is judged
	tooLong  bool        // the handler wrote more than it declared
	// an error's status that came when it was too late for one: the handler failed on its way, and
	// a Recoverer, or itself, said so
	failed   int
	left     bool // the client or the cache had its context end before the handler returned
	hijacked bool // it has the connection
	informed bool // an informational response has just been sent
}

// reset makes the recorder as new, for a second run of the handler.
func (w *recorder) reset() {
	header := http.Header{}
	maps.Copy(header, w.outer.Clone())
	*w = recorder{to: w.to, veil: w.veil, headless: w.headless, header: header, outer: w.outer,
		given: maps.Clone(header)}
}

// TakeBack drops the response that the handler has begun, and reports whether it could: nothing of
// it has gone anywhere, and the handler may begin another one. The header stays, but for the fields
// that http.Error takes out as well, which describe the page. It is for frameworks whose handlers
// return errors.
func (w *recorder) TakeBack() bool {
	if !w.wrote || w.hijacked || !w.to.holds() {
		return false
	}
	*w = recorder{to: w.to, veil: w.veil, headless: w.headless, header: w.header, outer: w.outer,
		given: w.given}
	for _, name := range ofPage {
		if before, stood := w.given[name]; stood {
			w.header[name] = before
		} else {
			delete(w.header, name)
		}
	}
	w.to.takeBack()
	return true
}

var ofPage = [...]string{"Cache-Control", "Content-Encoding", "Content-Length", "Content-Type",
	"Etag", "Last-Modified"}

// Header is the handler's header, with what outer handlers put there before it.
func (w *recorder) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
		if before := w.to.client().Header(); len(before) > 0 {
			w.outer, w.header = before.Clone(), before.Clone()
			w.given = maps.Clone(w.header)
		}
	}
	if w.informed {
		w.informed = false
		if restore(w.header, w.outer) {
			w.given = maps.Clone(w.header)
		}
	}
	if w.veil != nil && w.veil.drawn.Load() {
		w.veil.look(w.header)
	}
	return w.header
}

// restore gives back what handlers outside had put into the header, where nothing is left of it
// after an informational response: httputil.ReverseProxy clears the header then, of the fields of
// that response. Whether one is sent may be up to a client (Expect), and the fields that stand
// outside are others' as well.
func restore(h, outer http.Header) (restored bool) {
	if len(h) > 0 || len(outer) == 0 {
		return false
	}
	maps.Copy(h, outer.Clone())
	return true
}

// WriteHeader freezes the header, or passes an informational one (RFC 9110 section 15.2) to the
// client that asked, and to nobody else.
func (w *recorder) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http does
	}
	if w.wrote || w.hijacked {
		if status >= 400 && status != w.status && w.failed == 0 {
			w.failed = status
		}
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.to.onInform(status)
		w.informed = true
		return
	}
	w.to.onBegin()
	w.wrote, w.status, w.received = true, status, time.Now()
	w.frozen = w.Header().Clone()
	w.again = saidAgain(w.header, w.given)
	w.declared = -1
	if v := w.frozen["Content-Length"]; len(v) == 1 {
		if n, err := strconv.ParseInt(v[0], 10, 64); err == nil && n >= 0 {
			w.declared = n
		}
	}
	if w.declared < 0 {
		delete(w.frozen, "Content-Length")
	}
	w.to.onHeader(status)
}

// Write takes a part of the body. It never waits for a client, unless the response is for one alone
// or is too large to be kept.
func (w *recorder) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.declared >= 0 && w.written+int64(len(p)) > w.declared {
		w.tooLong = true
		return 0, http.ErrContentLength
	}
	all := len(p)
	if w.to.holds() && len(w.held)+len(p) > HoldBack {
		w.coming = p
		w.to.decide()
		p, w.coming = w.coming, nil
	}
	w.written += int64(len(p))
	if w.to.holds() {
		w.held = append(w.held, p...)
		return all, nil
	}
	n, err := w.to.write(p)
	return all - len(p) + n, err
}

// WriteString is Write.
func (w *recorder) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// ReadFrom copies from src, with the client's own ReadFrom (and so with sendfile) where the
// response is for that client alone.
func (w *recorder) ReadFrom(src io.Reader) (int64, error) {
	var total int64
	buf := make([]byte, 32<<10)
	for !w.to.copies() || w.declared >= 0 {
		n, err := src.Read(buf)
		if n > 0 {
			m, werr := w.Write(buf[:n])
			total += int64(m)
			if werr != nil {
				return total, werr
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if w.to.copies() && w.wrote {
			break
		}
	}
	if w.declared >= 0 {
		src = io.LimitReader(src, w.declared-w.written)
	}
	n, err := w.to.copyFrom(src)
	w.written += n
	return total + n, err
}

// Flush is FlushError.
func (w *recorder) Flush() { w.FlushError() }

// FlushError sends what there is to everyone who reads.
func (w *recorder) FlushError() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.to.holds() {
		w.to.decide()
	}
	return w.to.flush()
}

// Hijack gives the handler its client's connection; those who wait run the handler for themselves.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.to.holds() || w.wrote {
		return nil, nil, fmt.Errorf("freshet: Hijack after the response has begun: %w",
			http.ErrNotSupported)
	}
	conn, rw, err := w.control().Hijack()
	if err == nil {
		w.hijacked = true
		w.to.onHijack()
	}
	return conn, rw, err
}

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex are those of the leader's connection.
func (w *recorder) SetReadDeadline(t time.Time) error  { return w.control().SetReadDeadline(t) }
func (w *recorder) SetWriteDeadline(t time.Time) error { return w.control().SetWriteDeadline(t) }
func (w *recorder) EnableFullDuplex() error            { return w.control().EnableFullDuplex() }

// Push is the leader's client's HTTP/2 push.
func (w *recorder) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.to.client().(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

func (w *recorder) control() *http.ResponseController {
	return http.NewResponseController(w.to.client())
}

// response is the handler's own header: without what outer handlers had put there before, with the
// Date and Content-Type that net/http would add. removed names what the handler removed or replaced
// of the outer handlers' fields.
func (w *recorder) response() (h http.Header, removed []string) {
	h = w.frozen
	removed = subtract(h, w.outer, w.again)
	if h["Date"] == nil {
		h["Date"] = []string{w.received.UTC().Format(http.TimeFormat)}
	}
	addType(h, w.outer, w.beginning())
	return h, removed
}

// subtract takes out of h what was in it before its handler, and returns the names of what the
// handler removed or replaced. A Cache-Control that the handler added to stays whole, since it says
// less alone. again names what the handler has set to the value that it had: it has replaced that,
// but a Vary, which is added to the outer one.
func subtract(h, outer http.Header, again []string) (removed []string) {
	for name, before := range outer {
		now, there := h[name]
		switch {
		case !there:
			removed = append(removed, name)
		case slices.Equal(now, before) && !slices.Contains(again, name):
			delete(h, name)
		case slices.Equal(now, before) && name == "Vary":
		case len(now) > len(before) && slices.Equal(now[:len(before)], before):
			if name != "Cache-Control" {
				h[name] = now[len(before):]
			}
		default:
			removed = append(removed, name)
		}
	}
	return removed
}

// saidAgain names the fields of h that a handler has set to the very values that it was given in
// them, as Header.Set("Vary", "Origin") does behind a CORS handler: then it speaks of its own page.
// A set puts another slice into the place of the one that was given.
func saidAgain(h, given http.Header) (names []string) {
	for name, before := range given {
		if now := h[name]; len(before) > 0 && slices.Equal(now, before) && &now[0] != &before[0] {
			names = append(names, name)
		}
	}
	return names
}

// beginning is as much of the body as tells its type.
func (w *recorder) beginning() []byte {
	begin := w.held[:min(sniffed, len(w.held))]
	return append(slices.Clip(begin), w.coming[:min(sniffed, len(w.coming))]...)
}

// trailers returns the fields that the handler set for after the body, declared or not.
func (w *recorder) trailers() http.Header {
	var t http.Header
	announced := w.frozen["Trailer"]
	for name, v := range w.header {
		for _, list := range announced {
			if lists(list, name) {
				t = with(t, name, v)
			}
		}
		if after, found := strings.CutPrefix(name, http.TrailerPrefix); found {
			t = with(t, http.CanonicalHeaderKey(after), v)
		}
	}
	return t
}

// lists reports whether a field name is one of a comma-separated list.
func lists(list, name string) bool {
	for member := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(member), name) {
			return true
		}
	}
	return false
}

// without returns trailers but for cookies, those that strip names, and those that would frame
// the body, at which clients give the response up. The given map is not modified.
func without(trailers http.Header, strip []string) (kept http.Header) {
	for name, values := range trailers {
		switch name {
		case "Set-Cookie", "Set-Cookie2", "Content-Length", "Transfer-Encoding", "Trailer":
			continue
		}
		if !slices.Contains(strip, name) {
			kept = with(kept, name, values)
		}
	}
	return kept
}

func with(t http.Header, name string, values []string) http.Header {
	if t == nil {
		t = http.Header{}
	}
	t[name] = values
	return t
}

// short reports whether the body is not what the handler declared.
func (w *recorder) short() bool {
	if w.tooLong {
		return true
	}
	return w.written < w.declared && bodyAllowed(w.status) && !w.headless
}

// broken reports whether the response is not, or may not be, the page that its header announced.
// Such a response is not stored.
func (w *recorder) broken() bool { return w.failed != 0 || w.cut() }

// cut reports whether the response ended, or may have ended, before it was complete: a handler
// whose context has ended stops where it is, and says so to nobody. An error's status that comes
// too late is no reason to cut the client off: net/http drops it and sends the page to its end,
// which may well be whole, as behind chi's Timeout.
func (w *recorder) cut() bool {
	whole := w.declared >= 0 && w.written == w.declared && w.status < 400
	return w.left && !whole || w.short()
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
