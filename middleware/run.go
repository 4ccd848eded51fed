package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// run is the leader's side of a fill: one run of the handler, and the leader's own client. The handler
// runs in the goroutine of the leader's request, so that nothing it holds of its framework outlives
// that request. The client, once the response streams, is served from a goroutine beside it, so that
// it may stall without stalling the handler and with it everyone else.
type run struct {
	x    exchange
	rec  recorder
	f    *fill.Fill
	out  policy.Outcome
	said Response // what the handler says through From

	promised policy.Outcome // out, as far as the header of a stream can know it

	found found // in the store: to be validated or completed, or served if the handler is lost

	instead *fill.Fill // the run that hangs, in the place of which this one's response is
	solo    bool       // the handler runs for this request alone: nobody waits for it
	state   state
	asks    question // what the handler is asked for

	speaks  speaking // what ctx is made of
	url     url.URL  // the handler's own
	ctx     context.Context
	cancel  context.CancelFunc
	began   time.Time
	watched watched

	answer   *store.Entry // the whole answer, for this client and for others
	own      http.Header  // the answer's header for this client alone, where it differs
	asStored bool         // own is the answer's header
	kept     *store.Entry // what is to be stored
	packed   *store.Entry // what is so already, if anything
	coming   *store.Entry // what others find, although the store does not have it yet
	indexing string       // the variant key that the index has been told of
	varies   []string     // the request fields that the response varies on
	strip    []string     // the fields of the response that are its client's alone
	removed  []string     // outer handlers' fields that the handler removed
	part     http.Header  // completing: the header of the part
	unlink   func() bool  // what ends the run early is called off
	after    pending
	leaves   gate // for the response of a mount inside

	hinted http.Header // the client's header, once a hint has brought fields into it

	finished bool       // the client has its answer
	refused  bool       // a part of the body was not taken: nobody reads it, or time was up
	mute     bool       // the handler returned without a word: no WriteHeader, no Write
	lost     bool       // the handler said Fail before it wrote: what it wrote is its word on that, and whole
	pumped   chan error // gets one value when the leader's client has been served, or has left
}

// newRun returns a run that answers l. What l found is the run's then.
func newRun(l *lookup, f *fill.Fill, out policy.Outcome) *run {
	n := &run{x: l.x, f: f, out: out, found: l.found}
	l.found.stored = stored{} // the run may let go of it while its client still reads
	n.rec.to, n.rec.headless, n.said.run, n.x.leading = n, n.x.req.Class == rules.Head, n, n
	n.forgetPurged()
	n.speaks = speaking{n.x.r.Context(), &n.said}
	n.hear()
	return n
}

// forgetPurged drops what was found if it was invalidated between the look at it and the run's beginning: the number of
// what comes of the run is greater than that invalidation's, and nothing would tell any more.
func (n *run) forgetPurged() {
	if e := n.found.entry; e != nil && n.x.covered(e) == store.CoverageHard {
		n.found.stored = stored{}
	}
}

// lead runs the handler and sees to it that the client, the readers and the store get what is theirs.
func (n *run) lead() {
	defer n.close()
	n.call(false)
	if n.state == retrying {
		n.become(holding)
		n.rec.reset()
		n.removed, n.mute, n.lost = nil, false, false
		n.call(true)
	}
	n.finish()
}

// close ends whatever may still be waiting, however the run came to its end.
func (n *run) close() {
	defer n.leaves.close()
	if !n.after.last {
		n.over()
	}
	n.unlinked()
	n.cancel()
	n.x.observe(n.out)
	if n.after.last && !n.after.way.atEnd(n.atEnd) { // the end of the request owns the run now
		n.atEnd()
	}
}

// over releases the requests that still wait for the response.
func (n *run) over() {
	n.arrived()
	n.f.Decide(fill.Answer{Stage: fill.Failed, Why: ReasonLost})
	n.f.End(true, nil)
	n.f.Retire()
	n.f.Release()
}

// call runs the handler once. A panic that nothing was sent for, and that no stale response can stand
// in for, goes on as it is, with its stack, to whoever recovers it outside. Once a response streams,
// the panic is logged and the connection aborted: an outer recovery could not undo what was sent, and
// returning to net/http would make a cut response look complete.
func (n *run) call(again bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if n.state == holding {
			n.noteForced(time.Now(), true)
		}
		switch {
		case n.state == holding && n.found.verdict.OnLost && n.mayStandIn():
			n.x.c.lost(n.x.r, recover(), debug.Stack())
			n.serveStale()
		case n.state == substituted:
			n.x.c.lost(n.x.r, recover(), debug.Stack())
		case n.state == streaming:
			n.x.c.lost(n.x.r, recover(), debug.Stack())
			n.out.Stored, n.out.Detail = false, ReasonCut
			n.abort()
		default:
			n.out.Stored, n.out.Detail = false, ReasonLost
		}
	}()
	n.x.next.ServeHTTP(&n.rec, n.request(again))
	returned = true
	n.returned()
}

// returned is called when the handler has: what it left out is as net/http has it.
func (n *run) returned() {
	if n.state == holding && !n.rec.wrote {
		if n.said.failure() == nil && n.ctx.Err() == context.DeadlineExceeded {
			n.said.Fail(context.DeadlineExceeded) // it gave up without a word
		}
		n.mute = true
		n.rec.WriteHeader(http.StatusOK)
	}
	if n.state == holding {
		n.commit(true)
	}
	if n.state == completing { // which a part that was held back is since just now
		n.combine()
	}
}

// request makes the handler's request. Its context ends with the leader's deadline or the policy's,
// but not because the leader's client left: others may be reading, and the response may be worth
// storing.
func (n *run) request(again bool) *http.Request {
	if n.cancel != nil {
		n.cancel()
	}
	deadline, bounded := n.x.r.Context().Deadline()
	timeout := n.x.p.Timeout
	if timeout <= 0 && n.x.refresh != nil {
		timeout = refreshFor
	}
	if timeout > 0 {
		if own := time.Now().Add(timeout); !bounded || own.Before(deadline) {
			deadline, bounded = own, true
		}
	}
	if bounded {
		n.ctx, n.cancel = context.WithDeadline(&n.speaks, deadline)
	} else {
		n.ctx, n.cancel = context.WithCancel(&n.speaks)
	}
	n.link()
	n.expires(n.ctx)
	r := n.x.r.WithContext(n.ctx)
	u := &n.url
	if again {
		u = new(url.URL) // the first run's handler may still look at the other
	}
	*u = *n.x.r.URL
	r.URL, r.Header = u, n.x.r.Header.Clone() // the handler may edit them; variants are chosen by what the client sent
	n.condition(r, again)
	n.x.req.Asked = rules.Asked(r.Header)
	n.began = time.Now()
	return r
}

// expires gives the run up at the end of its time, whether the handler looks at its context or not.
func (n *run) expires(ctx context.Context) {
	if _, bounded := ctx.Deadline(); !bounded {
		return
	}
	f := n.f
	context.AfterFunc(ctx, func() {
		if ctx.Err() == context.DeadlineExceeded {
			f.GiveUp(ReasonTimeout)
		}
	})
}

// link sees to it that the handler's run ends when it is of no use any more: one for a single client
// with that client, a refresh with the cache, and any other some time after all clients have left.
func (n *run) link() {
	n.unlinked()
	switch cancel := n.cancel; {
	case n.x.refresh != nil:
		n.unlink = context.AfterFunc(n.x.c.stop, cancel)
	case n.solo:
		n.unlink = context.AfterFunc(n.x.r.Context(), cancel)
	default:
		n.linkToReaders(cancel)
	}
}

// linkToReaders ends the handler's run some time after all clients have left.
func (n *run) linkToReaders(cancel func()) {
	n.f.WhenDeserted(ReasonLost, cancel)
	n.unlink = context.AfterFunc(n.x.r.Context(), n.f.LeaderLeft)
}

func (n *run) unlinked() {
	if n.unlink != nil {
		n.unlink()
		n.unlink = nil
	}
}

// question is what the handler is asked for.
type question uint8

const (
	asSent     question = iota // what its client asks for
	everything                 // the whole response, without conditions: the client's own are judged afterwards
	validation                 // whether what is stored is still good
	rest                       // what the stored partial response lacks
)

// condition gives the handler's request the conditions that fit what is stored. A request that the
// handler serves alone goes to it as the client sent it; for one that others may read along with,
// the client's own conditions are taken out, and judged against the response afterwards.
func (n *run) condition(r *http.Request, again bool) {
	e, v := n.found.entry, n.found.verdict
	beside := n.instead != nil && n.x.req.Class == rules.Read // what it answers is for those who wait, too
	n.asks = asSent
	if n.solo && !beside && (again || !n.validates()) {
		return
	}
	n.asks = everything
	switch {
	case again || e == nil || v.Use == rules.Miss:
		r.Header = rules.Unconditional(r.Header)
	case e.Spans == nil:
		rules.Forward(r.Header, e)
		if v.Validate {
			n.asks = validation
		}
	default:
		r.Header = rules.Unconditional(r.Header)
		gap, ok := rules.Missing(e)
		if ok && v.Use == rules.Fresh && e.Total <= n.x.maxBody() && rules.ForwardRange(r.Header, e, gap) {
			n.asks = rest
		}
	}
}

// validates reports whether a request that the handler serves alone is for the whole response, of which
// one is stored that may be validated.
func (n *run) validates() bool {
	e := n.found.entry
	return e != nil && e.Spans == nil && n.found.verdict.Validate &&
		n.x.req.Class == rules.Read && !n.x.req.Range && !n.x.req.Directives.NoStore
}

// adopt makes what governs x, an inner mount's, govern the response.
func (n *run) adopt(x *exchange) {
	if n.state != holding || n.rec.wrote {
		return
	}
	n.x.p, n.x.outside = x.p, rules.ReadOutside(n.x.w.Header(), x.p)
	n.x.ttl, n.x.governed = x.ttl, x.governed
	n.f.SetLimit(n.x.maxBody())
}

// finish serves the leader's client and stores what is to be stored.
func (n *run) finish() {
	if n.finished {
		return
	}
	n.finished = true
	switch n.state {
	case streaming:
		n.finishStream()
	case passing:
		n.finishPassed()
	case piping:
	default:
		behind := !n.x.c.local && n.kept != nil && len(n.kept.Body) <= HoldBack
		switch {
		case behind:
			n.departs()
		case n.kept == nil, bare(n.x.w):
			n.store()
		default:
			n.after.stores = true
		}
		n.deliverOwn()
		n.afterAll()
		if behind && !n.after.last { // a client of so little need not wait for the store
			http.NewResponseController(n.x.w).Flush()
			n.keep(n.kept)
		}
	}
}

// store stores a response that is whole.
func (n *run) store() {
	n.keep(n.kept)
	n.f.Retire()
}

// finishStream ends the body for all readers, stores it, and waits until the leader's own client has
// been served: its connection must not be let go before.
func (n *run) finishStream() {
	if n.rec.short() || n.refused || n.said.failure() != nil || n.f.Broken() {
		n.out.Stored, n.out.Detail = false, ReasonCut
		n.abort()
	}
	body, whole := n.f.Whole()
	whole = whole && n.kept != nil && !n.said.silent()
	if whole {
		e := *n.kept // which those who read along have
		e.Header = e.Header.Clone()
		n.kept = n.complete(&e, body)
		if !n.after.held {
			n.depart(n.kept)
		}
	}
	if whole && !n.x.c.local {
		n.f.Flush() // nobody waits for the store with the last of it
	}
	if n.said.silent() {
		n.f.Hush()
	}
	n.f.End(false, n.sharedTrailers())
	switch {
	case whole && n.after.held:
		n.after.stores = true
	case whole:
		n.keep(n.kept)
	case n.kept == nil:
	case n.said.silent():
		n.out.Stored, n.out.Detail = false, ReasonHandler
	default:
		n.out.Stored, n.out.Detail = false, ReasonTooLarge
	}
	n.f.Retire()
	switch {
	case !n.after.held:
		if n.kept != nil {
			n.f.HandOver(n.kept.Key)
			n.letPartsGo()
		}
	case !whole:
		n.kept = nil
	}
	err := n.served()
	n.afterAll()
	switch {
	case err == nil:
		n.x.sendTrailers(without(n.rec.trailers(), nil))
	case err != errNoBody && n.x.r.Context().Err() == nil:
		panic(http.ErrAbortHandler)
	}
}

// served waits until the leader's client has been served, and returns why it did not get all of the body.
func (n *run) served() error {
	err := <-n.pumped
	var p *panicked
	if errors.As(err, &p) {
		n.x.c.lost(n.x.r, p.value, p.stack)
	}
	return err
}

// errNoBody is why a client whose response has no body got none.
var errNoBody = errors.New("middleware: the response has no body for this client")

// panicked is the panic of an outer handler's writer in the goroutine that writes a body.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprint("middleware: a writer panicked: ", p.value) }

// abort ends a body that is not complete, so that it cannot look complete to anyone.
func (n *run) abort() {
	n.f.Decide(fill.Answer{Stage: fill.Failed, Why: ReasonLost})
	n.f.End(true, nil)
	n.f.Retire()
	if n.pumped != nil {
		n.served()
	}
	panic(http.ErrAbortHandler)
}

// pump serves the leader's client while the handler goes on. Only the body is written from beside it: whatever outer
// handlers do when the header is sent, and the header itself, belong to the goroutine of the request.
func (n *run) pump(header http.Header) {
	n.pumped = make(chan error, 1)
	n.dropRemoved()
	if !n.x.begin(n.rec.status, header, -1, &n.promised) {
		n.orAlone()
		n.pumped <- errNoBody
		return
	}
	rd, _ := n.f.Enter()
	body := n.x.body()
	if n.after.held {
		n.push(body, rd)
	}
	go func() {
		err := fill.ErrCut
		defer func() {
			if v := recover(); v != nil { // of a writer outside of ours
				err = &panicked{v, debug.Stack()}
			}
			rd.Leave()
			n.pumped <- err
		}()
		err = body.stream(rd)
	}()
}
