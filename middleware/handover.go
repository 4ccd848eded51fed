package middleware

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// A run behind is made of the request that started it, of all that this one sent. What it answers
// for one client alone is that client's: it gets the whole of it, with the handler's cookies, and
// the handler does not run once more for it, which a link that works once would not bear. Nobody
// else gets it: it goes through the ticket of the run, which only that request has.
//
// What handlers outside set in the run behind is none of it, since the client's own request has been
// through them as well. Where they have set a cookie there, or a nonce, the page may hold what that
// stands for, and two of them would reach the client: such a page is made once more, in the
// client's own request. So the header must have gone out, as far as it goes, before anything is
// handed over: at the end of the request in the background.

// sole is what the client that started a run behind may get of it alone.
type sole struct {
	comes   atomic.Bool            // the run has begun to answer it alone
	made    atomic.Pointer[handed] // what the run has answered, whole
	taken   atomic.Pointer[handed] // ... once nothing stands against it
	settled chan struct{}          // closed when taken will not change any more
	end     func()                 // ends the run's context, once comes says so
	errors  bool                   // it gets errors alone, which set no cookie
	once    sync.Once
}

// newSole returns what a request that starts a run behind may get of it alone, or nil where the run
// is not made of the very request: it has no body, and may lack credentials; handlers outside do not
// see in it the cookies that the policy ignores, and not what they have made of another request.
func (l *lookup) newSole() *sole {
	x, e := &l.x, l.found.entry
	switch {
	case x.req.Class != rules.ClassRead, x.r.ContentLength != 0, givesAlone(x.w.Header()):
		return nil
	case x.arrival == nil && !x.req.Credentials: // nobody knows what handlers outside have changed
		return &sole{settled: make(chan struct{}), errors: true}
	case !x.came, !slices.Equal(x.arrivedCookies(), x.r.Header["Cookie"]),
		x.req.Credentials && e != nil && !rules.ForEveryone(e, x.p):
		return nil
	}
	return &sole{settled: make(chan struct{})}
}

// settle tells the client that it gets no more than it has got by now.
func (t *refreshTicket) settle() {
	if s := t.sole; s != nil {
		s.once.Do(func() { close(s.settled) })
	}
}

// handed is a response for the client that started a run behind.
type handed struct {
	status  int
	header  http.Header // of the handler's
	removed []string    // outer handlers' fields that the handler removed
	body    []byte
	why     policy.Reason // why it is nobody else's
	sent    rules.Sent    // the header as it went to the handlers outside
}

// handsOver begins to collect the response with the handler's header h for the client that started
// the run behind.
func (n *run) handsOver(h http.Header) {
	t := n.x.refresh
	switch {
	case t == nil || !t.behind:
		return
	case t.sole == nil, t.sole.errors && (n.rec.status < 400 || setsCookie(h)),
		givesAlone(n.x.w.Header()):
		n.endForNobody()
		return
	}
	n.hands = &handed{status: n.rec.status, header: h.Clone(), removed: n.removed, why: n.out.Detail}
	t.sole.end = n.cancel
	t.sole.comes.Store(true)
}

// strictly is the policy by which nothing is the same for everybody.
var strictly = new(policy.Policy)

// givesAlone reports whether handlers outside have set in h what is for one client alone, whatever
// the policy shares beside it: a page that is private may hold what a cookie or a nonce stands for.
func givesAlone(h http.Header) bool {
	outside := rules.ReadOutside(h, strictly)
	return outside.Alone() != ""
}

func (d *handed) sentWith(h http.Header) {
	if d != nil {
		d.sent = rules.SentWith(h, strictly)
	}
}

// collect adds to the body, if there is room for it and the client waits for it.
func (n *run) collect(p []byte) {
	if n.hands == nil || len(p) == 0 {
		return
	}
	size := int64(len(n.hands.body) + len(p))
	if n.ctx.Err() == context.Canceled || size > n.x.maxBody() || !n.f.Take(int64(len(p))) {
		n.handsNothing()
		return
	}
	n.hands.body = append(n.hands.body, p...)
}

// handsNothing has the client run the handler itself. One that flushes may go on for long: what is
// handed over is whole.
func (n *run) handsNothing() {
	if n.hands != nil {
		n.hands = nil
		n.endForNobody() // before the client's own run begins
		n.x.refresh.settle()
	}
}

// endForNobody ends a run behind that answers one client alone and hands it nothing: nobody gets what
// it answers.
func (n *run) endForNobody() {
	if n.x.around != nil { // which may have a use for it
		return
	}
	n.forNobody = true
	n.cancel()
}

// handsAll is called when the response is whole.
func (n *run) handsAll() {
	if n.hands == nil {
		return
	}
	if n.rec.broken() || n.rec.trailers() != nil {
		n.handsNothing()
		return
	}
	n.x.refresh.sole.made.Store(n.hands)
}

// handOver gives the client what the run has made for it, when the request in the background is
// over, and its header went to client, unless a handler outside has answered in its place or has
// set what the page may speak of.
func (t *refreshTicket) handOver(client *nowhere) {
	if t.sole == nil {
		return
	}
	d := t.sole.made.Load()
	if d == nil || client.status != d.status {
		return
	}
	if late := d.sent.Late(client.header, strictly); late.Alone() == "" {
		t.sole.taken.Store(d)
	}
}

// takeOwn answers a request whose own run in the background has a response that is not for others:
// with that, if it is handed over, or by running the handler for this client.
func (l *lookup) takeOwn(a fill.Answer, out policy.Outcome) next {
	d, err := l.awaitOwn()
	switch {
	case err != nil:
		out.Detail = reasonLeft
		l.x.unanswered(err, out)
		return answered
	case d == nil:
		l.waits = nil // the bounds count anew for a run of its own
		out.Passed = cmp.Or(a.Why, reasonPass)
		return l.alone(out)
	}
	l.answeredElse()
	x, now := &l.x, time.Now()
	d.body = fill.Fit(d.body) // the ticket goes on to have d
	e := &store.Entry{Status: d.status, Header: d.header, Body: d.body, Received: now}
	if bodyAllowed(e.Status) {
		setLength(e.Header, len(e.Body))
	}
	for _, name := range d.removed {
		delete(x.w.Header(), name)
	}
	h, ok := x.hold(e, now)
	defer x.letGo(h)
	if ok {
		l.leave() // or else the body counts among the runs' until it is sent
	}
	out.FwdStatus, out.Detail = e.Status, d.why
	x.write(e, e.Header, false, &out, now)
	x.observe(out)
	return answered
}

// awaitOwn waits for what is handed over, or returns nil where nothing is. HardTimeout bounds it. A
// client that waits no more ends the run. The request keeps its place in the fill, and with that
// what the run has taken of MaxFillBytes, until it has the body counted elsewhere.
func (l *lookup) awaitOwn() (*handed, error) {
	t := l.behind
	if t.sole == nil || !t.sole.comes.Load() {
		return nil, nil
	}
	b := l.bounds(t.fill, false)
	defer b.stop()
	select {
	case <-t.sole.settled:
		return t.sole.taken.Swap(nil), nil
	case <-b.next():
		t.sole.end()
		return nil, nil
	case <-l.x.r.Context().Done():
		t.sole.end()
		return nil, l.x.r.Context().Err()
	}
}
