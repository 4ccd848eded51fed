package middleware

import (
	"cmp"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// readAlong reads along with a fill, as far as the request may.
func (l *lookup) readAlong(f *fill.Fill, out policy.Outcome) next {
	if !l.enter(f) {
		return lookAgain
	}
	defer l.leave()
	l.holdFound(f)
	defer l.letGoOfBody()
	if f.Answer().Stage == fill.StageAsked && l.findsNoPlace() {
		l.keepBehind()
		if l.standInBusy(out) {
			return answered
		}
	}
	d, err := l.await(f, l.mayStandIn())
	if err == nil && d.Why == reasonSoft { // Stage is StageAsked
		l.keepBehind()
		if l.standIn(d.Why, out) {
			return answered
		}
		d, err = l.await(f, false)
	}
	if err == nil && d.lost() && d.Why != reasonHard && l.mayStandIn() {
		// or it was invalidated meanwhile
		if l.standIn(d.Why, out) {
			return answered
		}
		d, err = l.await(f, false) // as all others do
	}
	switch {
	case err != nil:
		out.Detail = reasonLeft
		l.leavesBehind()
		l.x.unanswered(err, out)
		return answered
	case d.beside != nil:
		out.Detail = d.Why
		return l.runBeside(f, d.beside, out)
	case d.Stage == fill.StageAsked && d.Why == reasonHard,
		d.Stage == fill.StageFailed && d.Why == reasonBusy:
		return l.giveUp(d.Why, out)
	case d.Stage == fill.StageAsked:
		return lookAgain
	case d.Stage == fill.StagePrivate && l.ranBehind(f) && d.Why != reasonOutdated:
		return l.takeOwn(d.Answer, out)
	case d.Stage == fill.StagePrivate, d.Stage == fill.StageFailed:
		return l.goAlone(d.Answer, out)
	case l.x.superseded(f, d.Entry):
		f.Retire() // invalidated while it was waited for
		return lookAgain
	}
	return l.share(f, d.Answer, out)
}

// goAlone answers a request that waited for a response which turned out not to be for others, or
// never came. Where another request may do better than the one that led, it looks again, so that
// one of those who waited leads.
func (l *lookup) goAlone(a fill.Answer, out policy.Outcome) next {
	switch {
	case a.Stage == fill.StageFailed && a.Why == reasonTimeout && l.x.p.HardTimeout > 0 &&
		time.Since(l.waitsSince()) >= l.x.p.HardTimeout:
		return l.giveUp(reasonHard, out)
	case a.Stage == fill.StageFailed && a.Why == reasonTimeout:
		return lookFree
	case a.Stage == fill.StageFailed && a.Why == reasonWaited:
		l.waited = out.Fwd
		return lookAgain
	case a.Stage == fill.StageFailed && a.Why == reasonStalled:
		return lookAgain
	case a.Stage == fill.StagePrivate && l.mayDoBetter(a.Why), l.failedLately():
		return lookAgain
	}
	out.Passed = cmp.Or(a.Why, reasonPass)
	return l.alone(out)
}

// mayDoBetter reports whether the response was private because of the request that led: it came
// before an invalidation, an error may have been meant for it alone, or it had credentials or
// wishes of its own.
func (l *lookup) mayDoBetter(why policy.Reason) bool {
	switch why {
	case reasonOutdated, rules.ReasonSuspect:
		return true
	case rules.ReasonCookie, rules.ReasonAuthorization, rules.ReasonRequestNoStore:
		return !l.x.req.Credentials
	}
	return false
}

// share answers with the response of f, which others may have, if this request may.
func (l *lookup) share(f *fill.Fill, a fill.Answer, out policy.Outcome) next {
	x, e := &l.x, a.Entry
	if e.Anonymous && x.req.Credentials && !x.p.Shared {
		out.Passed = cmp.Or(a.Why, reasonPass)
		return l.alone(out)
	}
	if why := x.outside.Objects(e, x.p, time.Now()); why != "" {
		out.Detail = why
		return l.alone(out)
	}
	if !x.matches(e) || !rules.OriginOf(x.r, &x.outside).Allowed(e) {
		return lookAgain
	}
	out.Collapsed, x.tally.trace = !l.ownBehind(f, &out), f.Traced
	l.answeredElse()
	if a.Stage == fill.StageSettled {
		now := time.Now()
		_, fresh := rules.FreshFor(e, now)
		out.Stale = !fresh || x.coveredSince(e, f.Start.Held) != invalidation.CoverageNone
		l.hit(e, out, now)
		return answered
	}
	x.relay(f, l.reader, e, out)
	return answered
}

// relay answers with a response that comes as a stream.
func (x *exchange) relay(f *fill.Fill, rd *fill.Reader, e *store.Entry, out policy.Outcome) {
	x.tellAround(e)
	x.announced = e.Announced
	age := e.CurrentAge(time.Now())
	x.tally.serves(e, age)
	if x.begin(e.Status, e.Header, e.MadeModified, age, &out) {
		b := x.body()
		err := b.stream(rd)
		x.around.Tag(f.Tags()...) // that have come since
		x.tellCovered(&store.Entry{URI: e.URI, Tags: f.Tags(), Number: e.Number})
		x.tally.bytes += *b.sent
		switch {
		case err == nil:
			x.sendTrailers(f.Trailer())
			x.hushAround(f)
		case x.mayBeTaken():
			x.observe(out)
			panic(http.ErrAbortHandler)
		}
	}
	x.observe(out)
}

// decision is what became of a fill that a request waited for and, if its handler has not answered,
// what the request does instead of waiting.
type decision struct {
	fill.Answer
	beside *places // the request runs the handler beside the fill, and has one of these
}

// lost reports whether the handler does not answer, and the request has no place to run it.
func (d *decision) lost() bool {
	return d.Stage == fill.StageAsked && d.beside == nil || d.Stage == fill.StageFailed &&
		d.Why == reasonTimeout
}

// await waits until the handler of f has answered, and no longer than the policy's bounds if there
// is something else to do: a stale response or an error to serve, or a place to run the handler.
func (l *lookup) await(f *fill.Fill, stale bool) (d decision, err error) {
	if a := f.Answer(); a.Stage != fill.StageAsked {
		return decision{Answer: a}, nil
	}
	b := l.bounds(f, stale)
	defer b.stop()
	var p *places // once it has waited too long
	took := false
	defer func() {
		if d.beside == nil {
			l.x.c.beside.leave(p, took)
		}
	}()
	for !took {
		woken, err := f.Await(l.x.r.Context(), b.next(), p.free())
		switch {
		case err != nil:
			return decision{}, err
		case woken == fill.ByTime:
			switch why := b.pass(); {
			case why == reasonHard, why == reasonSoft && l.mayServeSlow(time.Now()):
				return decision{Answer: fill.Answer{Why: why}}, nil
			case why == reasonSoft:
				continue
			}
			p = l.x.c.beside.of(l.found.flight)
			if took = p.take(); !took && stale {
				return decision{Answer: fill.Answer{Why: reasonWaited}}, nil
			}
		case woken == fill.ByPlace:
			took = true
		default:
			return decision{Answer: f.Answer()}, nil
		}
	}
	if a := f.Answer(); a.Stage != fill.StageAsked {
		return decision{Answer: a}, nil
	}
	return decision{Answer: fill.Answer{Why: reasonWaited}, beside: p}, nil
}

// runBeside runs the handler for a request that has waited too long for f, and has one of the
// places of its key. Its response takes the place of f's.
func (l *lookup) runBeside(f *fill.Fill, p *places, out policy.Outcome) next {
	defer l.x.c.beside.leave(p, true)
	l.x.c.journal.Complete()
	n := newRun(l, l.x.newFill(), out)
	n.solo, n.instead = true, f
	n.lead()
	return answered
}

// mayStandIn reports whether what was found may be served in the place of a handler that does not
// answer.
func (l *lookup) mayStandIn() bool {
	s := &l.found.stored
	if s.entry == nil || s.entry.Spans != nil || !s.verdict.OnLost {
		return false
	}
	return l.x.covered(s.entry) != invalidation.CoverageHard
}

// standIn answers with what was found, although it is stale. It returns false when there is no room
// to send so long a body.
func (l *lookup) standIn(why policy.Reason, out policy.Outcome) bool {
	x, e, now := &l.x, l.found.entry, time.Now()
	h, ok := x.hold(e, now)
	if !ok {
		x.stall = nil
		return false
	}
	defer x.letGo(h)
	l.letGoOfBody()
	l.leave()
	l.leavesBehind()
	out.Stale, out.Detail = true, why
	x.deliver(e, out, now)
	return true
}

// superseded reports whether an invalidation came while the request waited for f, of which e came,
// so that e is not for the request any more: a soft one makes e stale, and then it is only where a
// stale response may be served at once.
func (x *exchange) superseded(f *fill.Fill, e *store.Entry) bool {
	if x.coveredSince(e, f.Start.Held) == invalidation.CoverageHard {
		return true
	}
	since := store.Entry{URI: e.URI, Tags: e.Tags, Number: max(e.Number, f.Start.Number)}
	coverage := x.coveredSince(&since, f.Start.Held)
	return coverage != invalidation.CoverageNone &&
		rules.Judge(e, &x.req, x.p, time.Now(), coverage).Use != rules.UseStaleWhileRevalidate
}
