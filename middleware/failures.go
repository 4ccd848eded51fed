package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Failures that Policy.FailureTTL has stored lie under keys of their own, and are looked for where
// nothing else may answer: so they displace no response, and a page that is stored meanwhile
// counts.

// takeFailure finds the failure that the last run of the handler ended with, if it may answer in
// the place of another run.
func (x *exchange) takeFailure(f *found, now time.Time) {
	if x.p.FailureTTL <= 0 || x.refresh != nil || f.broken != "" {
		return
	}
	if use := f.verdict.Use; use != rules.UseMiss && (use != rules.UseStale || f.verdict.OnError) {
		return
	}
	e := x.get(rules.FailureKey(x.req.Key), f)
	if e == nil || e.Variants != nil || !x.mayTake(e, f.entry, now) {
		return
	}
	v := rules.Judge(e, &x.req, x.p, now, invalidation.CoverageNone)
	if v.Insisted() && now.Sub(e.Received) < forcedFor { // as with what else was forced
		v.Use, v.Why = rules.UseFresh, ""
	}
	if v.Use == rules.UseFresh {
		f.stored, f.served = stored{entry: e, verdict: v}, reasonFailure
	}
}

// isFailure reports whether e is a failure of what the request asks for.
func (x *exchange) isFailure(e *store.Entry) bool { return e.Key == rules.FailureKey(x.req.Key) }

// mayTake reports whether a stored failure is about what the request asks for, and newer than the
// response that is stored.
func (x *exchange) mayTake(e, response *store.Entry, now time.Time) bool {
	return (response == nil || e.Received.After(response.Received)) && x.matches(e) &&
		x.covered(e) == invalidation.CoverageNone && x.outside.Objects(e, x.p, now) == "" &&
		rules.OriginOf(x.r, &x.outside).Allowed(e)
}

// admitFailure is rules.AdmitFailure of the run's response, if that is whole and it is the handler
// that failed. A request that nobody waits for may have conditions of its own.
func (n *run) admitFailure(a *rules.Admission, h http.Header, status int, final bool) {
	if !n.failures || !final || n.x.refreshesOnly() || n.ctx.Err() == context.Canceled ||
		n.rec.left || n.asks == asSent && n.x.req.Conditional {
		return
	}
	rules.AdmitFailure(a, &n.x.req, status, n.x.outside.Judged(h), n.x.p, n.rec.received)
	n.failure = a.Source == rules.SourceFailure
}

// refusal says why a response that the rules admit is not stored all the same, or nothing.
func (n *run) refusal(a *rules.Admission, final bool) policy.Reason {
	switch {
	case n.wish != "":
		return n.wish
	case !a.Store:
		return a.Reason
	case n.x.outside.Alone() != "": // whatever no-cache="Set-Cookie" says
		return n.x.outside.Alone()
	case n.said.silent() != "":
		return n.said.silent()
	case n.said.failure() != nil && !n.failure:
		return reasonLost
	case n.rec.declared > n.x.maxBody() || int64(len(n.rec.held)) > n.x.maxBody():
		return reasonTooLarge
	case final && n.rec.broken():
		return reasonCut
	case n.overtaken():
		return reasonOutdated
	case n.f.GivenUp() != "":
		return n.f.GivenUp()
	case n.mute && !a.Explicit && !n.said.hasTTL():
		n.x.c.warnOfNothing()
		return reasonEmpty
	case n.suspect():
		return rules.ReasonSuspect
	case !n.failure && n.displaces(a):
		return rules.ReasonPageKept
	}
	return ""
}
