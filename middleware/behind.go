package middleware

import (
	"cmp"
	"slices"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// A handler runs in the goroutine of the request that it answers, and so no request can leave its
// own run before the handler returns. Where the policy lets requests leave, the run is none of
// theirs: it enters the app at its root, as a refresh does, and the request that needs it reads
// along, like all others.

// goesBehind reports whether the handler runs in the background, for this request and those that
// read along.
func (l *lookup) goesBehind() bool {
	x := &l.x
	switch {
	case x.p.SoftTimeout <= 0 && x.p.HardTimeout <= 0:
		return false
	case x.p.HardTimeout <= 0 && !l.mayServeSlow(time.Now()):
		return false
	case x.account != nil && x.account.t.mode != traceLive, x.around != nil, x.refresh != nil:
		return false
	}
	return x.refreshes() && !ofRefresh(x.r) && x.c.passes.find(foremost+l.found.flight, time.Now()) == ""
}

// headGoesBehind reports whether a HEAD waits for a run in the background, which makes the whole
// response: where something stale is stored that it may get meanwhile.
func (l *lookup) headGoesBehind() bool {
	x := &l.x
	return x.req.Class == rules.ClassHead && x.p.SoftTimeout > 0 && !x.req.Directives.NoStore &&
		l.mayServeSlow(time.Now()) && l.goesBehind()
}

// refreshesOnly reports whether the request is a refresh for which no client waits.
func (x *exchange) refreshesOnly() bool { return x.refresh != nil && !x.refresh.behind }

// mayServeSlow reports whether what was found may be served in the place of a handler that takes
// longer than SoftTimeout.
func (l *lookup) mayServeSlow(now time.Time) bool {
	e := l.found.entry
	if e == nil || e.Spans != nil || l.found.verdict.Use == rules.UseMiss {
		return false
	}
	return l.x.judge(e, now, l.x.covered(e), l.found.flight).OnSlow
}

// leadBehind starts a run of the handler in the background, for all who read along with f, and
// reports whether it could.
func (l *lookup) leadBehind(f *fill.Fill) bool {
	x := &l.x
	c := x.c
	if !l.goesBehind() || !c.start() {
		return false
	}
	t := &refreshTicket{c: c, who: x.who, key: x.req.Key, flight: l.found.flight, fill: f,
		old: l.found.entry, behind: true, sole: l.newSole()}
	if !l.disagrees && l.found.forwarded() != policy.FwdRequest {
		t.terms, _ = x.terms(&l.found)
	}
	l.behind, l.disagrees = t, true
	l.reader, _ = f.Enter() // before the run, which may have ended in a moment
	r := x.asArrived()
	if l.found.entry != nil {
		r = x.asker(l.found.entry)
	}
	r = refreshRequest(r)
	for _, name := range []string{"Cache-Control", "Pragma"} { // for caches that the handler asks
		if values := x.r.Header[name]; values != nil {
			r.Header[name] = slices.Clone(values)
		}
	}
	t.begin(x, r)
	return true
}

// bounds are until when a request waits for a run of the handler: what it does then is named by the
// reasons of Cache-Status. A zero time: without end.
type bounds struct {
	soft, hard, most time.Time
	timer            *time.Timer
}

// bounds returns those of a request that waits for f. stale: it may be served stale. The time
// counts for all its waits together.
func (l *lookup) bounds(f *fill.Fill, stale bool) (b bounds) {
	p := l.x.p
	began := l.waitsSince()
	if p.SoftTimeout > 0 && stale && l.found.entry != nil {
		b.soft = began.Add(p.SoftTimeout)
	}
	if p.HardTimeout > 0 {
		b.hard = began.Add(p.HardTimeout)
	}
	if p.MaxWait >= 0 && !l.ranBehind(f) {
		b.most = began.Add(cmp.Or(p.MaxWait, rules.DefaultMaxWait))
	}
	return b
}

// waitsSince returns since when the request waits for others.
func (l *lookup) waitsSince() time.Time {
	if l.waits == nil {
		now := time.Now()
		l.waits = &now
	}
	return *l.waits
}

// first returns the bound that ends first, or nil where there is none.
func (b *bounds) first() (at *time.Time, why policy.Reason) {
	for _, one := range []struct {
		at  *time.Time
		why policy.Reason
	}{{&b.soft, reasonSoft}, {&b.hard, reasonHard}, {&b.most, reasonWaited}} {
		if !one.at.IsZero() && (at == nil || one.at.Before(*at)) {
			at, why = one.at, one.why
		}
	}
	return at, why
}

// next returns what fires at the end of the first bound.
func (b *bounds) next() <-chan time.Time {
	at, _ := b.first()
	switch {
	case at == nil:
		return nil
	case b.timer == nil:
		b.timer = time.NewTimer(max(0, time.Until(*at)))
	default:
		b.timer.Reset(max(0, time.Until(*at)))
	}
	return b.timer.C
}

// pass takes the first bound away, which is over, and says which it was.
func (b *bounds) pass() policy.Reason {
	at, why := b.first()
	if at != nil {
		*at = time.Time{}
	}
	return why
}

func (b *bounds) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

// saidBehind is what a run behind says of its answer: the request that started it tells its client
// and the observers the same, as if the handler had run in it.
type saidBehind struct {
	out          policy.Outcome
	took, queued time.Duration
}

// saysBehind notes what the run is about to answer.
func (n *run) saysBehind() {
	if t := n.x.refresh; t != nil && t.behind {
		t.said.Store(&saidBehind{n.out, n.rec.received.Sub(n.began), n.x.tally.queued})
	}
}

// ownBehind gives the request what the run in the background said that it has started, or returns
// false where f is none, or was answered by no run of the handler.
func (l *lookup) ownBehind(f *fill.Fill, out *policy.Outcome) bool {
	if !l.ranBehind(f) {
		return false
	}
	said := l.behind.said.Load()
	if said == nil {
		return false
	}
	out.FwdStatus, out.Stored = said.out.FwdStatus, said.out.Stored
	l.x.tally.filled(said.took)
	l.x.tally.queued += said.queued
	return true
}

// observedBehind reports whether the request that has started the run in the background tells the
// observers of it.
func (n *run) observedBehind() bool {
	t := n.x.refresh
	return t != nil && t.behind && !t.left.Load() && (t.said.Load() != nil || n.hands != nil)
}

// keepBehind has the run in the background go on that the request has started, and leaves.
func (l *lookup) keepBehind() {
	if l.behind != nil {
		l.behind.keep()
	}
}

// leavesBehind notes that the request is answered by something else than the run in the background
// that it has started.
func (l *lookup) leavesBehind() {
	if l.behind != nil {
		l.behind.left.Store(true)
	}
}

// giveUp answers a request that waits for no handler any more, because of why: with what is stale,
// where a lost handler allows it, or else with an error.
func (l *lookup) giveUp(why policy.Reason, out policy.Outcome) next {
	if why == reasonHard {
		l.keepBehind()
	}
	l.leave()
	l.leavesBehind()
	if l.mayStandIn() && l.standIn(why, out) {
		return answered
	}
	out.Detail = why
	if why == reasonBusy {
		out.Fwd = policy.FwdNone
		l.x.sendUnavailable(&out)
	} else {
		l.x.sendOverdue(&out)
	}
	l.x.observe(out)
	return answered
}

// inFrontFor is how long no run in the background is begun for a key that had one in vain. foremost
// is what precedes the key where that is remembered.
const (
	inFrontFor = 10 * time.Minute
	foremost   = "front "
)

// staysInFront remembers that a run behind was in vain, because of what it answered: for a while the
// key's next clients run the handler themselves at once.
func (n *run) staysInFront(why policy.Reason) {
	t := n.x.refresh
	if t == nil || !t.behind {
		return
	}
	lasts := inFrontFor
	if n.rec.status >= 400 {
		lasts = passForError
	}
	n.x.c.passes.remember(foremost+n.found.flight, time.Now().Add(lasts), why)
}

// enter gives the request a place in what f answers, unless it has had one since before the run.
func (l *lookup) enter(f *fill.Fill) (entered bool) {
	if l.reader == nil || !l.ranBehind(f) {
		l.reader, entered = f.Enter()
		return entered
	}
	return true
}

// leave gives that place up. It comes before any other answer than what comes of f: a response that
// is too long to be kept waits for those who have a place.
func (l *lookup) leave() {
	if l.reader != nil {
		l.reader.Leave()
		l.reader = nil
	}
}

// ranBehind reports whether f is the run in the background that the request has started.
func (l *lookup) ranBehind(f *fill.Fill) bool { return l.behind != nil && l.behind.fill == f }
