package middleware

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/stall"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// body writes the body of one response, and touches nothing else of the client's. Of a run whose
// response streams it does so in a goroutine beside the handler's.
type body struct {
	w     http.ResponseWriter
	ctx   context.Context // the request's
	stall *stall.Watch
	sent  *int64 // counts what the client takes
}

// body returns the writer of the exchange's response, in the goroutine of its request. It counts
// beside the exchange, which stays on the stack of a hit.
func (x *exchange) body() body { return body{x.w, x.r.Context(), x.c.watchOf(x.w), new(int64)} }

// write writes a part of the body.
func (b body) write(p []byte) error {
	n, err := b.stall.Write(b.w, p)
	*b.sent += int64(n)
	return err
}

// stream writes the body as it comes. It returns an error when the client did not get all of it.
func (b body) stream(rd *fill.Reader) error {
	rd.Watch(b.stall)
	for {
		p, err := rd.Next(b.ctx)
		if err != nil {
			return err
		}
		if len(p.Bytes) > 0 {
			if err := b.write(p.Bytes); err != nil {
				if cause := context.Cause(b.ctx); cause != nil {
					return cause
				}
				return err
			}
		}
		if p.Flush {
			b.stall.Flush(b.w)
		}
		if p.Ended {
			return nil
		}
	}
}

// mayBeTaken reports whether somebody may take a response for whole that was cut, so that a panic
// must end it. That a context is done does not say that its client has left: a handler outside may
// have given it a deadline, and a server that shuts down may end it. Only where there is neither a
// server nor another cache, nobody would recover the panic.
func (x *exchange) mayBeTaken() bool {
	ctx := x.r.Context()
	return ctx.Err() != context.Canceled || x.around != nil ||
		ctx.Value(http.ServerContextKey) != nil
}

// send writes a body that is all there, or a part of it, to the client.
func (x *exchange) send(p []byte) {
	n, _ := x.sender().Write(p)
	x.tally.bytes += int64(n)
}

// sender writes what is all there, a part at a time. It is a copy of what that takes, so that an
// exchange stays on the stack of its request.
type sender struct {
	w     http.ResponseWriter
	stall *stall.Watch
}

func (x *exchange) sender() sender { return sender{x.w, x.stall} }

// Write implements io.Writer. What was cut off is shorter than its length, and cannot be taken for
// whole.
func (s sender) Write(p []byte) (int, error) { return s.stall.Write(s.w, p) }

// held is a stored body that one client reads, counted.
type held struct {
	pin   *fill.Pin
	stall *stall.Watch
}

// hold counts a long body of e for as long as its client reads it. It fails when there is no room
// and others have to go first.
func (x *exchange) hold(e *store.Entry, now time.Time) (h held, ok bool) {
	if len(e.Body) <= bigBody || x.req.Class == rules.ClassHead ||
		x.req.Conditional && rules.ConditionalStatus(e.Status) && rules.NotModified(x.r.Header,
			e.Header, e.MadeModified, now) {
		return h, true
	}
	h.stall = x.c.watchOf(x.w)
	h.pin = x.c.fills.Pins.Hold(e.Key, e.Body, h.stall)
	x.stall = h.stall
	return h, h.pin != nil
}

func (x *exchange) letGo(h held) {
	x.stall = nil
	x.c.release(h)
}

func (c *Cache) release(h held) {
	if h.pin != nil {
		c.fills.Pins.Leave(h.pin, h.stall)
		c.fills.Pins.Release(h.pin)
	}
}

// hit answers with a whole entry, or runs the handler when clients that stall hold too much of what
// they read. A client that wants a stored response or none then gets none.
func (l *lookup) hit(e *store.Entry, out policy.Outcome, now time.Time) {
	if len(e.Body) <= bigBody {
		l.x.deliver(e, out, now)
	} else {
		l.hitLong(e, out, now)
	}
}

func (l *lookup) hitLong(e *store.Entry, out policy.Outcome, now time.Time) {
	x := &l.x
	h, ok := x.hold(e, now)
	if !ok {
		x.stall = nil
		l.crowded()
		return
	}
	defer x.letGo(h)
	x.deliver(e, out, now)
}

// crowded answers in the place of a stored response that there is no room to send.
func (l *lookup) crowded() {
	if l.x.req.Directives.OnlyIfCached {
		l.x.notCached()
		return
	}
	l.found.stored = stored{}
	l.alone(policy.Outcome{Fwd: policy.FwdMiss, Detail: reasonCrowded})
}

// sendTrailers sets the fields that come behind a body that was streamed.
func (x *exchange) sendTrailers(trailers http.Header) {
	if len(trailers) == 0 {
		return
	}
	client := x.w.Header()
	declared := client["Trailer"]
	for name, values := range trailers {
		if !slices.ContainsFunc(declared, func(list string) bool { return lists(list, name) }) {
			name = http.TrailerPrefix + name
		}
		client[name] = values
	}
}
