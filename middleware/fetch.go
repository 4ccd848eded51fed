package middleware

import (
	"cmp"
	"slices"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// fetch answers by running the handler, or by reading along with a run of it. What outlives the
// walk of a hit begins here, with a copy of l.
func (l *lookup) fetch() next {
	x := &l.x
	out := policy.Outcome{Fwd: l.found.forwarded(), Detail: l.found.broken}
	x.adviseOnRoot()
	x.adviseOnWriter()
	if x.refresh != nil && x.refresh.arrived.Swap(true) {
		x.refresh = nil // it comes a second time, and is a request like all others
	}
	if t := x.refresh; t != nil {
		l.found.flight = t.flight
		t.who.arrived.Store(true)
		n := newRun(l, t.fill, out)
		n.lease = t.lease.Load()
		n.lead()
		return answered
	}
	if x.wrote.unseen() {
		out.Detail = cmp.Or(out.Detail, reasonWrite)
		return l.alone(out)
	}
	if !l.collapses() && !l.headGoesBehind() {
		return l.fetchAlone(out)
	}
	if why := x.c.passes.find(l.found.flight, time.Now()); why != "" {
		out.Passed = why
		return l.alone(out)
	}
	if x.c.journal.Lacks() && x.c.fills.Find(l.found.flight, l.mayJoin) == nil {
		x.c.journal.Complete()
	}
	f, leads := x.c.fills.Join(l.found.flight, l.mayJoin, x.newFill)
	switch {
	case !leads && x.gate().leads(f):
		return l.alone(out)
	case !leads:
		return l.readAlong(f, out)
	}
	return l.lead(f, out)
}

// fetchAlone answers a request that does not wait for others: by running the handler, unless it is
// for HEAD or a part of what is coming anyway.
func (l *lookup) fetchAlone(out policy.Outcome) next {
	if l.x.req.Class == rules.ClassHead {
		if f := l.x.c.fills.Find(l.found.flight, l.mayJoin); f != nil {
			return l.readAlong(f, out)
		}
	}
	if l.x.req.Range && l.found.entry == nil && l.finishes() || l.missedAnEnd() {
		return lookAgain
	}
	return l.alone(out)
}

// missedAnEnd reports, once for a HEAD or a Range request that found nothing, whether a fill has
// ended since: the request may want what that fill stored.
func (l *lookup) missedAnEnd() bool {
	if l.missed || l.found.entry != nil || l.x.req.Class != rules.ClassHead && !l.x.req.Range ||
		l.x.c.fills.Ended() == l.found.ended {
		return false
	}
	l.missed = true
	return true
}

// lead runs the handler for all who read along with f, unless what they want has come meanwhile.
func (l *lookup) lead(f *fill.Fill, out policy.Outcome) next {
	if e := l.lookOnceMore(f); e != nil {
		now := time.Now()
		left, _ := rules.FreshFor(e, now)
		l.hit(e, policy.Outcome{Hit: true, TTL: left, HasTTL: true, Detail: l.found.served}, now)
		return answered
	}
	switch {
	case l.leadBehind(f):
		return l.readAlong(f, out)
	case l.x.req.Class != rules.ClassRead: // the Cache is being closed
		f.Decide(fill.Answer{Stage: fill.StageFailed, Why: reasonWaited})
		return l.alone(out)
	case l.findsNoPlace():
		f.Decide(fill.Answer{Stage: fill.StageFailed, Why: reasonWaited}) // others may have to wait
		if l.standInBusy(out) {
			return answered
		}
		return l.alone(out)
	}
	a := l.agree(f)
	switch {
	case a.again:
		l.waited = out.Fwd
		return lookAgain
	case a.entry != nil:
		out.Collapsed = true
		l.hit(a.entry, out, time.Now())
		return answered
	case a.late:
		out.Detail = cmp.Or(out.Detail, reasonWaited)
	}
	l.sharesFound(f)
	n := newRun(l, f, out)
	n.lease = a.lease
	n.lead()
	return answered
}

// lookOnceMore looks again, for the leader of f: between the first look and taking the lead another
// fill may have ended, whose response is just what this request, and those that read along with it,
// want. f is settled with it.
func (l *lookup) lookOnceMore(f *fill.Fill) *store.Entry {
	if l.x.c.fills.Ended() == l.found.ended {
		return nil
	}
	e := l.lookInStore()
	if e != nil {
		f.Decide(fill.Answer{Stage: fill.StageSettled, Entry: e})
		f.Retire()
	}
	return e
}

// forwarded returns why the handler is asked, in the words of RFC 9211 section 2.2.
func (f *found) forwarded() policy.Fwd {
	switch use := f.verdict.Use; {
	case f.entry == nil:
		return f.missed
	case use == rules.UseFresh:
		return policy.FwdPartial
	case use == rules.UseStale || use == rules.UseStaleWhileRevalidate:
		if f.verdict.TTL > 0 {
			return policy.FwdRequest
		}
		return policy.FwdStale
	default:
		return policy.FwdMiss
	}
}

// collapses reports whether the request may wait for a response that it shares with others. One
// that carries credentials waits only where a response is known to be shareable in spite of them.
func (l *lookup) collapses() bool {
	x, e := &l.x, l.found.entry
	switch {
	case x.req.Class != rules.ClassRead, x.req.Directives.NoStore, rules.AsksForStream(x.r.Header):
		return false
	case x.req.Range && (e == nil || e.Spans != nil):
		return false
	case x.req.Credentials && !x.p.Shared && (e == nil || e.Anonymous):
		return false
	}
	return true
}

// alone runs the handler for this request only. Its response may still be stored.
func (l *lookup) alone(out policy.Outcome) next {
	l.leave()
	l.x.c.journal.Complete()
	n := newRun(l, l.x.newFill(), out)
	n.solo = true
	n.lead()
	return answered
}

// newFill makes a fill that begins now. Where marks are missing that the journal has given out, it has
// a number from before this process's own newest ones: so Complete is called first, unless that
// waits for the journal and the caller must not.
func (x *exchange) newFill() *fill.Fill {
	start := fill.Start{URI: x.req.URI, Number: x.c.journal.Seen(), Held: x.c.journal.Held(),
		Time: time.Now(), Limit: x.maxBody()}
	if start.Tags = x.policyTags(); x.req.Tag != "" {
		start.Tags = append(slices.Clip(start.Tags), x.req.Tag)
	}
	return x.c.fills.New(start)
}

func (x *exchange) maxBody() int64 {
	if x.p.MaxBody > 0 {
		return x.p.MaxBody
	}
	return rules.DefaultMaxBody
}

// outdated reports whether an invalidation came after the fill began, or may have come without this
// node's knowledge, for longer than MaxLag.
func (c *Cache) outdated(f *fill.Fill) bool {
	if now := time.Now(); now.Sub(f.Start.Time) > c.options.MaxLag && !c.journal.InTouch(now) {
		return true
	}
	return c.coverageOf(f, f.Start.URI, f.Start.Tags) != invalidation.CoverageNone
}

// mayJoin reports whether the request may read along with the fill: it is not outdated, and the
// response that is on its way is not too old for a request that comes only now.
func (l *lookup) mayJoin(f *fill.Fill) bool {
	x := &l.x
	if !x.wrote.mayRead(f) {
		return false
	}
	if x.req.Sent != "" && x.c.coverageOf(f, x.req.Sent, nil) != invalidation.CoverageNone {
		return false
	}
	if x.arrivedCoverage(f.Start.Number, f.Start.Held) != invalidation.CoverageNone {
		return false
	}
	return !x.c.outdated(f) && l.fits(f, time.Now())
}

// fits reports whether what has come of the fill so far is of use to a request that comes only now:
// what has an answer is a stored response, and is judged as one. It asks nobody: requests for other
// keys wait for it.
func (l *lookup) fits(f *fill.Fill, now time.Time) bool {
	a := f.Answer()
	if a.Stage == fill.StageAsked || a.Entry == nil {
		return a.Stage != fill.StagePrivate && a.Stage != fill.StageFailed
	}
	coverage := l.x.coveredSince(a.Entry, f.Start.Held)
	if late := f.Tags(); len(late) > 0 {
		more := store.Entry{URI: a.Entry.URI, Tags: late, Number: a.Entry.Number}
		coverage = max(coverage, l.x.c.journal.CoversSince(&more, f.Start.Held))
	}
	return l.x.judge(a.Entry, now, coverage, l.found.flight).Use == rules.UseFresh
}
