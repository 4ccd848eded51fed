package middleware

import (
	"context"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// run is the leader's side of a fill: one run of the handler, and the leader's own client. The
// handler runs in the goroutine of the leader's request, so that nothing it holds of its framework
// outlives that request. Once the response streams, a goroutine beside it serves the client, which
// may then stall without stalling the handler and all readers.
type run struct {
	x    exchange
	rec  recorder
	f    *fill.Fill
	out  policy.Outcome
	said Response // what the handler says through FromContext

	promised policy.Outcome // out, as far as the header of a stream can know it

	found   found // in the store: to be validated or completed, or served if the handler is lost
	held    held  // a long body of what was found, or of the answer, as it is counted
	crowded bool  // there was no room for what was found

	behind bool          // the entry is stored while its client is sent the response
	saving chan struct{} // closed when it is

	slot     *slot                // its place among Policy.MaxRuns; nil: there is no bound
	within   atomic.Pointer[slot] // that of a mount inside, which the run answers
	patience time.Duration        // how long it may wait for one

	hard    time.Time   // when HardTimeout ends; zero: never
	bell    *time.Timer // ... until then
	overdue atomic.Bool // it has ended before the handler began to answer
	expired atomic.Bool // the time of a run in the background is over

	hands     *handed // what the client gets that started the run behind, or nil
	forNobody bool    // the run behind is for one client alone, and that gets nothing of it

	lease *lease // by which the run is for all processes; nil: it is for this one

	instead *fill.Fill // the run that hangs, in the place of which this one's response is
	solo    bool       // the handler runs for this request alone: no other waits
	state   state
	asks    question // what the handler is asked for

	gave    atomic.Uintptr // the map of the header that the handler was given
	speaks  speaking       // what ctx is made of
	url     url.URL        // the handler's own
	ctx     context.Context
	cancel  context.CancelFunc
	began   time.Time
	watched watched

	streamed *int64 // bytes of a stream that the leader's client took

	answer    *store.Entry // the whole answer, for this client and for others
	own       http.Header  // the answer's header for this client alone, where it differs
	asStored  bool         // own is the answer's header
	kept      *store.Entry // the entry to store, or nil
	packed    *store.Entry // the packed form of kept, or nil
	coming    *store.Entry // the entry that others find before the store has it
	indexing  string       // the variant key that the index lists by now
	varies    []string     // the request fields that the response varies on
	strip     []string     // the fields of the response that are its client's alone
	removed   []string     // outer handlers' fields that the handler removed
	part      http.Header  // completing: the header of the part
	inherited []string     // the tags of the stored response of which this one has the body
	unlink    func() bool  // stops what would end the run early
	after     pending
	leaves    gate // for the response of a mount inside
	layered   bool // what is outside of a veil may be hidden by another one
	begun     begun
	adopted   bool          // the policy is that of a mount inside
	wish      policy.Reason // ... by which the operator wants the response uncached, or empty

	failures bool // the lookup would find a failure that is stored for Policy.FailureTTL
	failure  bool // the response is one

	hinted http.Header // the client's header, once a hint has brought fields into it

	finished bool // the client has its answer
	// ... or cannot be given it: its context ended within an informational response
	astray  bool
	unseen  bool // ... with which handlers outside may have set fields
	refused bool // a part of the body was not taken: nobody reads it, or time was up
	mute    bool // the handler returned without a word: no WriteHeader, no Write
	// the handler said Fail before it wrote: what it wrote is its word on that, and whole
	lost   bool
	pumped chan error // gets one value when the leader's client has been served, or has left
}

// newRun returns a run that answers l. What l found is the run's then.
func newRun(l *lookup, f *fill.Fill, out policy.Outcome) *run {
	n := &run{x: l.x, f: f, out: out, found: l.found}
	l.found.stored = stored{} // the run may let go of it while its client still reads
	n.rec.veil = &n.leaves.veil
	n.rec.to, n.rec.headless, n.said.run, n.x.leading = n, n.x.req.Class == rules.ClassHead, n, n
	n.failures = n.x.p.FailureTTL > 0
	n.layered = n.x.veiled && n.x.layered()
	n.forgetPurged()
	n.holdFound()
	l.letGoOfBody()
	if n.x.p.MaxRuns > 0 {
		n.patience = l.patienceLeft()
	}
	if hard := n.x.p.HardTimeout; hard > 0 && n.x.refresh == nil {
		n.hard = l.waitsSince().Add(hard)
		n.patience = min(n.patience, time.Until(n.hard))
	}
	n.speaks = speaking{n.x.r.Context(), &n.said}
	n.hear()
	n.said.give(n.x.policyTags())
	return n
}

// forgetPurged drops what was found if it was invalidated between the look at it and the run's
// beginning: the number of what comes of the run is greater than that invalidation's, and nothing
// would tell any more.
func (n *run) forgetPurged() {
	if e := n.found.entry; e != nil && n.x.covered(e) == invalidation.CoverageHard {
		n.found.stored = stored{}
	}
}

// lead runs the handler, answers the leader, releases the readers and stores the entry.
func (n *run) lead() {
	defer n.close()
	if n.x.p.MaxRuns > 0 && !n.takePlace() {
		return
	}
	n.handle()
	n.finish()
	if n.astray && n.x.mayBeTaken() {
		panic(http.ErrAbortHandler)
	}
}

// handle runs the handler, and once more where its answer was of no use.
func (n *run) handle() {
	defer n.freePlaces()
	defer n.trace()()
	n.call(false)
	if n.state == retrying {
		n.become(holding)
		n.rec.reset()
		n.removed, n.mute, n.lost = nil, false, false
		n.call(true)
	}
}

// trace lets the operator's tracer know of the run, if there is one, and returns what ends that.
func (n *run) trace() (end func()) {
	trace := n.x.c.options.Trace
	if trace == nil {
		return func() {}
	}
	ctx, ended := trace(n.x.r)
	n.speaks.request, n.f.Traced = ctx, ctx
	if ended == nil {
		return func() {}
	}
	return func() {
		ended(Event{Outcome: n.out, Resource: n.x.p.Resource, Status: n.rec.status,
			Fill: time.Since(n.began), key: n.x.req.Key})
	}
}

// close ends whatever may still be waiting, however the run came to its end.
func (n *run) close() {
	defer n.leaves.close()
	defer n.letGoOfBody()
	n.awaitSaved()
	if !n.after.last {
		n.over()
	}
	n.unlinked()
	if n.cancel != nil {
		n.cancel()
	}
	if n.bell != nil {
		n.bell.Stop()
	}
	n.observe()
	if !n.after.last {
		return
	}
	n.detach()
	if !n.after.way.atEnd(n.atEnd) { // the end of the request owns the run now
		n.atEnd()
	}
}

// observe reports what became of the leader's request.
func (n *run) observe() {
	n.x.tally.bytes += n.watched.got
	if n.streamed != nil {
		n.x.tally.bytes += *n.streamed
	}
	if n.rec.wrote {
		n.x.tally.filled(n.rec.received.Sub(n.began))
	}
	if !n.observedBehind() {
		n.x.observe(n.out)
	} else if n.x.account != nil {
		n.x.account.observed(n.out)
	}
}

// over releases the requests that still wait for the response.
func (n *run) over() {
	n.arrived()
	n.f.Decide(fill.Answer{Stage: fill.StageFailed, Why: reasonLost})
	n.f.End(true, nil)
	n.f.Retire()
	n.f.Release()
	n.lease.end(false) // unless it has ended with the response in the store
}

// call runs the handler once. A panic before anything was sent goes on, with its stack, to the
// handlers outside that may recover it, unless a stale response stands in. Once a response streams,
// call logs the panic and aborts the connection: an outer recovery could not undo what was sent,
// and returning to net/http would make a cut response look complete.
func (n *run) call(again bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		n.begun.set(true)
		if n.state == holding {
			n.noteForced(time.Now(), true)
			n.noteTry(true, true)
		}
		switch {
		case n.state == holding && n.found.verdict.OnLost && n.mayStandIn():
			n.x.c.lost(n.x.r, recover(), debug.Stack())
			n.serveStale()
		case n.state == substituted:
			n.x.c.lost(n.x.r, recover(), debug.Stack())
		case n.state == streaming:
			n.x.c.lost(n.x.r, recover(), debug.Stack())
			n.out.Stored, n.out.Detail = false, reasonCut
			n.abort()
		default:
			n.out.Stored, n.out.Detail = false, reasonLost
		}
	}()
	r := n.request(again)
	n.begun.set(false)
	n.x.next.ServeHTTP(&n.rec, r)
	n.took()
	// the handler may have seen the end of its client's context before that of its own
	n.rec.left = n.ctx.Err() == context.Canceled && !n.overdue.Load() && !n.outOfTime() ||
		n.solo && n.x.r.Context().Err() != nil
	returned = true
	n.returned()
}

// took notes how long the handler has run: until it answered, where its client's pace counts.
func (n *run) took() {
	if n.x.c.leases.locker == nil || n.rec.status >= 400 {
		return // nothing depends on it; or it tells how long it takes to refuse a request
	}
	end := time.Now()
	if n.state == passing {
		end = n.rec.received
	}
	n.x.who.took.note(n.x.r.URL.Path, end.Sub(n.began))
}

// returned is called when the handler has: what it left out is as net/http has it.
func (n *run) returned() {
	if n.state == holding && !n.rec.wrote {
		overdue := n.overdue.Load()
		if n.said.failure() == nil && (overdue || n.outOfTime()) {
			n.said.Fail(context.DeadlineExceeded) // it gave up without a word
		}
		if overdue {
			n.writeOverdue()
		} else {
			n.mute = true
			n.rec.WriteHeader(http.StatusOK)
		}
	}
	if n.state == holding {
		n.commit(true)
	}
	if n.state == completing { // which a part that was held back is since just now
		n.combine()
	}
}
