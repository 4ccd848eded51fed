package middleware

import (
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// decision is what became of a fill that a request waited for and, if its handler has not answered, what the request
// does instead of waiting.
type decision struct {
	fill.Answer
	beside *places // the request runs the handler beside the fill, and has one of these
}

// lost reports whether the handler does not answer, and the request has no place to run it.
func (d *decision) lost() bool {
	return d.Stage == fill.Asked && d.beside == nil || d.Stage == fill.Failed && d.Why == ReasonTimeout
}

// await waits until the handler of f has answered, and no longer than the policy's MaxWait if there is something
// else to do: a stale response to serve, or a place to run the handler.
func (x *exchange) await(f *fill.Fill, stale bool) (d decision, err error) {
	if a := f.Answer(); a.Stage != fill.Asked {
		return decision{Answer: a}, nil
	}
	late, stop := x.patience()
	defer stop()
	var p *places // once it has waited too long
	took := false
	defer func() {
		if d.beside == nil {
			x.c.beside.leave(p, took)
		}
	}()
	for !took {
		woken, err := f.Await(x.r.Context(), late, p.free())
		switch {
		case err != nil:
			return decision{}, err
		case woken == fill.ByTime:
			p = x.c.beside.of(x.flight)
			if took = p.take(); !took && stale {
				return decision{Answer: fill.Answer{Why: ReasonWaited}}, nil
			}
		case woken == fill.ByPlace:
			took = true
		default:
			return decision{Answer: f.Answer()}, nil
		}
	}
	if a := f.Answer(); a.Stage != fill.Asked {
		return decision{Answer: a}, nil
	}
	return decision{Answer: fill.Answer{Why: ReasonWaited}, beside: p}, nil
}

// patience returns what fires when the request has waited for as long as its policy says, in all its waits together.
func (x *exchange) patience() (late <-chan time.Time, stop func() bool) {
	most := x.p.MaxWait
	if most < 0 {
		return nil, func() bool { return false }
	}
	if most == 0 {
		most = policy.DefaultMaxWait
	}
	now := time.Now()
	if x.waits == nil {
		x.waits = &now
	}
	timer := time.NewTimer(max(0, most-now.Sub(*x.waits)))
	return timer.C, timer.Stop
}

// runBeside runs the handler for a request that has waited too long for f, and has one of the places of its key. Its
// response takes the place of f's.
func (x *exchange) runBeside(f *fill.Fill, p *places, e *store.Entry, v rules.Verdict, out policy.Outcome) {
	defer x.c.beside.leave(p, true)
	n := newRun(x, x.newFill(), e, v, out)
	n.solo, n.instead = true, f
	n.lead()
}

// standsFor reports whether e may be served in the place of a handler that does not answer.
func (x *exchange) standsFor(e *store.Entry, v rules.Verdict) bool {
	if e == nil || e.Spans != nil || !v.OnLost {
		return false
	}
	return x.covered(e) != store.CoverageHard
}

// serveStale answers with e, although it is stale. It returns false when there is no room to send so long a body.
func (x *exchange) serveStale(e *store.Entry, out policy.Outcome) bool {
	now := time.Now()
	h, ok := x.hold(e, now, false)
	if !ok {
		x.stall = nil
		return false
	}
	defer x.letGo(h)
	out.Stale = true
	x.deliver(e, out, now)
	return true
}

// superseded reports whether an invalidation came while the request waited for f, of which e came, so that e is not for
// the request any more: a soft one makes e stale, and then it is only where a stale response may be served at once.
func (x *exchange) superseded(f *fill.Fill, e *store.Entry) bool {
	if x.covered(e) == store.CoverageHard {
		return true
	}
	since := store.Entry{URI: e.URI, Tags: e.Tags, Fill: max(e.Fill, f.Start.Number)}
	coverage := x.covered(&since)
	return coverage != store.CoverageNone && rules.Judge(e, &x.req, x.p, time.Now(), coverage).Use != rules.Grace
}

// again reports whether those who waited for a fill that failed for this reason look again, so that one of them leads.
func again(why policy.Reason) bool {
	return why == ReasonStalled || why == ReasonTimeout || why == ReasonWaited
}
