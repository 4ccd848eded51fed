package middleware

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// pass runs the handler and touches nothing, but for saying so, and for what the operator's
// settings say to clients.
func (x *exchange) pass(why policy.Reason) {
	if x.account != nil && x.account.passes(x, why) {
		return
	}
	w := &passed{passWriter: passWriter{x: *x, out: passedOutcome(why)}, why: why}
	if (x.governed || x.p.SendTags != nil) && x.req.Class <= rules.ClassHead {
		w.watch = w
	}
	if x.req.Class == rules.ClassSafe && rules.TellsOfWebDAV(x.r.Method) {
		w.watch = seesWebDAV{x.c, x.r}
	}
	defer w.observe()
	inside := w.tellInside()
	if inside != x.r {
		defer giveBack(x.r, inside)
	}
	w.serve(inside)
}

// passedOutcome is the outcome of a request that passes.
func passedOutcome(why policy.Reason) policy.Outcome {
	if why == rules.ReasonMethod {
		return policy.Outcome{Fwd: policy.FwdMethod}
	}
	return policy.Outcome{Fwd: policy.FwdBypass, Detail: why}
}

// tellInside returns the handler's request: one that tells mounts of the same cache inside that it
// passes, if they could not see why, if the policy tells requests apart as theirs may not, or if
// what it says to clients is no word on them. A route's own policy may know neither the cookies
// that let a user's request pass nor what makes the key too long, nor the field that tells tenants
// apart.
func (w *passed) tellInside() *http.Request {
	r := w.x.r
	if !hidden(w.why) && w.why != rules.ReasonOff && !rules.KeepsApart(w.x.p) {
		return r
	}
	w.tells = telling{r.Context(), w}
	return r.WithContext(&w.tells)
}

// telling is the context of a request that passes, for mounts inside.
type telling struct {
	context.Context
	passed *passed
}

func (c *telling) Value(key any) any {
	if key == (speakingKey{}) {
		return c.passed
	}
	return c.Context.Value(key)
}

// hidden reports whether mounts inside may not see why a request passes.
func hidden(why policy.Reason) bool {
	return why == rules.ReasonPassCookie || why == rules.ReasonKeyTooLong || why == rules.ReasonKey
}

// passesInside reports whether the request passes because a mount around it has said so. What a
// route says is the same for all (Shared) is so whatever cookies a client has.
func (x *exchange) passesInside() (why policy.Reason, passes bool) {
	outer := x.passing
	if outer != nil {
		outer.inside.Store(true)
	}
	if outer == nil || outer.x.c != x.c || outer.x.r.RequestURI != x.r.RequestURI ||
		!hidden(outer.why) ||
		outer.why == rules.ReasonPassCookie && x.p.Shared {
		return "", false
	}
	return outer.why, true
}

// passed is the writer of a request that passes.
type passed struct {
	passWriter
	why   policy.Reason
	tells telling

	// what the header said of its lifetime before the mount, which is off, and after: for mounts inside
	came, went http.Header
	inside     atomic.Bool // a mount inside has found it
	control    [1]string   // the value of Cache-Control of a mount that is off
}

func (w *passed) onHeader(_ int, h http.Header) {
	rules.HideTags(h, w.x.p)
	if !w.x.governed {
		return
	}
	if w.why == rules.ReasonOff && w.inside.Load() {
		w.came = rules.Lifetimes(h, w.x.p)
		defer func() { w.went = rules.Lifetimes(h, w.x.p) }()
	}
	if w.why == rules.ReasonOff {
		rules.Forbid(h, w.x.p, w.control[:0:1])
		return
	}
	rules.Announce(h, w.x.p, rules.Admission{Reason: w.why}, &w.x.req, w.x.ttl, true, time.Now())
}

// asCame returns the header h, which has gone through mounts that are off, without what these say
// to clients: a mount inside has a policy of its own. w is the innermost of them, or nil. A handler
// outside that sets the same words speaks for itself: a set puts another slice into the place of
// the mount's.
func (w *passed) asCame(h http.Header) http.Header {
	for ; w != nil; w = w.x.passing {
		if w.went == nil {
			continue
		}
		h = maps.Clone(h)
		for name := range w.went {
			if same(h[name], w.went[name]) {
				delete(h, name)
			}
		}
		for name, values := range w.came {
			if len(h[name]) == 0 {
				h[name] = values
			}
		}
	}
	return h
}

// same reports whether a and b are one slice.
func same(a, b []string) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// passWriter passes everything on to the client and looks at the header as it goes by.
type passWriter struct {
	x     exchange
	out   policy.Outcome
	watch interface {
		onHeader(status int, h http.Header)
	} // or nil
	listen   listener    // or nil
	outer    http.Header // what outer handlers had put into the header, where that counts
	wrote    bool        // the handler has sent a header
	informed bool        // an informational response has just been sent
	// it only looks on: nothing is added, and what the handler does not write is left to others
	quiet  bool
	failed bool // the client did not get all
	erred  bool // the handler answered with an error when its response had begun
	watched
}

// listener hears what the client gets.
type listener interface {
	onSend() // the header is complete, and is sent next
	onBody([]byte)
}

// serve runs the handler for r, which is the exchange's request or made of it.
func (w *passWriter) serve(r *http.Request) {
	w.x.next.ServeHTTP(w, r)
	if !w.quiet {
		w.done()
	}
}

// Header is the client's header.
func (w *passWriter) Header() http.Header {
	h := w.x.w.Header()
	if w.informed {
		w.informed = false
		restore(h, w.outer)
	}
	return h
}

// WriteHeader adds what the cache has to say.
func (w *passWriter) WriteHeader(status int) {
	sent := w.wrote
	if !w.wrote && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.wrote = true
		h := w.Header()
		if w.watch != nil {
			w.watch.onHeader(status, h)
		}
		if !w.quiet {
			if setsCookie(h) || w.out.Detail == rules.ReasonSetIdentity {
				rules.KeepPrivate(h)
			}
			w.out.FwdStatus = status
			h["Cache-Status"] = after(h["Cache-Status"], w.x.c.statusField(&w.out))
			if w.x.account != nil {
				w.x.account.say(h, &w.out)
			}
		}
	}
	w.erred = w.erred || sent && status >= 400 && status != w.out.FwdStatus
	if w.listen != nil && status >= 200 {
		w.listen.onSend()
	}
	w.x.clientsRevalidate(status)
	w.x.sendHeader(status)
	w.informed = !w.wrote
}

// observe reports what became of the request.
func (w *passWriter) observe() {
	w.x.tally.bytes = w.watched.got
	if t := &w.x.tally; !t.began.IsZero() {
		t.filled(time.Since(t.began))
	}
	w.x.observe(w.out)
}

// done completes a response of which the handler wrote nothing.
func (w *passWriter) done() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

func (w *passWriter) Write(p []byte) (int, error) {
	w.done()
	n, err := w.watched.write(w.x.c, w.x.w, p)
	w.failed = w.failed || err != nil
	if w.listen != nil {
		w.listen.onBody(p[:n])
	}
	return n, err
}

func (w *passWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// ReadFrom leaves copying to the client's writer, and so to sendfile, where nobody has to look on.
func (w *passWriter) ReadFrom(src io.Reader) (int64, error) {
	w.done()
	if w.listen != nil {
		src = io.TeeReader(src, looker{w.listen})
	}
	n, err := w.copy(w.x.c, w.x.w, src)
	w.failed = w.failed || err != nil
	return n, err
}

// looker has a listener hear what is written.
type looker struct{ listener }

func (l looker) Write(p []byte) (int, error) { l.onBody(p); return len(p), nil }

// Flush is FlushError.
func (w *passWriter) Flush() { w.FlushError() }

// FlushError sends the header, with what the cache has to say, and what has been written.
func (w *passWriter) FlushError() error {
	w.done()
	return w.watched.stall.Flush(w.x.w)
}

// Hijack hands the connection over; nothing is to be done after.
func (w *passWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.x.w).Hijack()
	if err == nil {
		if change, ok := w.watch.(*unsafeWriter); ok {
			change.onHijack()
		}
		w.wrote = true
	}
	return conn, rw, err
}

// Push is the client's HTTP/2 push.
func (w *passWriter) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.x.w.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Unwrap lets http.ResponseController find the client's other abilities.
func (w *passWriter) Unwrap() http.ResponseWriter { return w.x.w }
