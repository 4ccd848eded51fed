package middleware

import (
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// fill answers by running the handler, or by reading along with whoever does. It returns false when
// the request should look again. What outlives the walk of a hit begins here, with a copy of x.
func (x *exchange) fill(e *store.Entry, v rules.Verdict) bool {
	out := policy.Outcome{Fwd: x.forwarded(e, v), Detail: x.broken}
	x.adviseOnRoot()
	x.adviseOnWriter()
	if x.refresh != nil && x.refresh.arrived.Swap(true) {
		x.refresh = nil // it comes a second time, and is a request like all others
	}
	if t := x.refresh; t != nil {
		x.flight = t.flight
		t.who.arrived.Store(true)
		newRun(x, t.fill, e, v, out).lead()
		return true
	}
	if !x.collapses(e) {
		if x.req.Class == rules.Head {
			if f := x.c.fills.Find(x.flight, x.mayJoin); f != nil {
				return x.follow(f, e, v, out)
			}
		}
		if x.req.Range && e == nil && x.finishes() {
			return false
		}
		x.alone(e, v, out)
		return true
	}
	if why := x.c.passes.find(x.flight, time.Now()); why != "" {
		out.Passed = why
		x.alone(e, v, out)
		return true
	}
	f, leads := x.c.fills.Join(x.flight, x.mayJoin, x.newFill)
	if !leads {
		if x.gate().leads(f) {
			x.alone(e, v, out)
			return true
		}
		return x.follow(f, e, v, out)
	}
	if e := x.anew(f); e != nil {
		now := time.Now()
		left, _ := rules.FreshFor(e, now)
		x.hit(e, policy.Outcome{Hit: true, TTL: left, HasTTL: true}, now)
		return true
	}
	newRun(x, f, e, v, out).lead()
	return true
}

// anew looks once more, for the leader of f: between the first look and taking the lead another fill may have ended,
// whose response is just what this request, and those that read along with it, want. f is settled with it.
func (x *exchange) anew(f *fill.Fill) *store.Entry {
	if x.c.fills.Ended() == x.seen {
		return nil
	}
	now := time.Now()
	e, coverage := x.find(now)
	if e == nil || e.Spans != nil || x.judge(e, now, coverage).Use != rules.Fresh {
		return nil
	}
	f.Decide(fill.Answer{Stage: fill.Settled, Entry: e})
	f.Retire()
	return e
}

// forwarded says why the handler is asked, in the words of RFC 9211 section 2.2.
func (x *exchange) forwarded(e *store.Entry, v rules.Verdict) policy.Fwd {
	switch {
	case e == nil:
		return x.missed
	case v.Use == rules.Fresh:
		return policy.FwdPartial
	case v.Use == rules.Stale || v.Use == rules.Grace:
		if v.TTL > 0 {
			return policy.FwdRequest
		}
		return policy.FwdStale
	default:
		return policy.FwdMiss
	}
}

// collapses says whether the request may wait for a response that it shares with others. One that
// carries credentials waits only where a response is known to be shareable in spite of them.
func (x *exchange) collapses(e *store.Entry) bool {
	switch {
	case x.req.Class != rules.Read, x.req.Directives.NoStore, rules.AsksForStream(x.r.Header):
		return false
	case x.req.Range && (e == nil || e.Spans != nil):
		return false
	case x.req.Credentials && !x.p.Shared && (e == nil || e.Anonymous):
		return false
	}
	return true
}

// serves says whether e, which is good enough for the request, also holds what it asks for.
func (x *exchange) serves(e *store.Entry, now time.Time) bool {
	return e.Spans == nil || x.req.Range && x.servesPart(e, now)
}

func (x *exchange) servesPart(e *store.Entry, now time.Time) bool {
	answer, spans := rules.SelectRange(x.r.Header, e.Header, e.Total, now)
	return answer == rules.Part && rules.Holds(e, spans)
}

// alone runs the handler for this request only. Its response may still be stored.
func (x *exchange) alone(e *store.Entry, v rules.Verdict, out policy.Outcome) {
	n := newRun(x, x.newFill(), e, v, out)
	n.solo = true
	n.lead()
}

func (x *exchange) newFill() *fill.Fill {
	start := fill.Start{URI: x.req.URI, Number: x.c.follow.Head(), Time: time.Now(), Limit: x.maxBody()}
	if x.req.Tag != "" {
		start.Tags = []string{x.req.Tag}
	}
	return x.c.fills.New(start)
}

func (x *exchange) maxBody() int64 {
	if x.p.MaxBody > 0 {
		return x.p.MaxBody
	}
	return policy.DefaultMaxBody
}

// outdated says whether an invalidation came after the fill began, or may have come without this node's
// knowledge, for longer than MaxLag.
func (c *Cache) outdated(f *fill.Fill) bool {
	if now := time.Now(); now.Sub(f.Start.Time) > c.MaxLag && !c.follow.InTouch(now) {
		return true
	}
	return c.follow.Covers(&store.Entry{URI: f.Start.URI, Tags: f.Start.Tags, Fill: f.Start.Number}) != store.CoverageNone
}

// mayJoin reports whether the request may read along with the fill: it is not outdated, and the response that is on
// its way is not too old for a request that comes only now.
func (x *exchange) mayJoin(f *fill.Fill) bool {
	if x.req.Sent != "" && x.c.follow.Covers(&store.Entry{URI: x.req.Sent, Fill: f.Start.Number}) != store.CoverageNone {
		return false
	}
	return !x.c.outdated(f) && x.fits(f, time.Now())
}

// fits reports whether what has come of the fill so far is of use to a request that comes only now: what has an answer
// is a stored response, and is judged as one.
func (x *exchange) fits(f *fill.Fill, now time.Time) bool {
	a := f.Answer()
	if a.Stage == fill.Asked || a.Entry == nil {
		return a.Stage != fill.Private && a.Stage != fill.Failed
	}
	return x.judge(a.Entry, now, x.covered(a.Entry)).Use == rules.Fresh
}
