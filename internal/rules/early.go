package rules

import (
	"math"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// MaxXFetch is the greatest [policy.Policy.XFetch].
const MaxXFetch = 100

// EarlyPolicy returns the policy by which e is refreshed before it is stale, or nil where p has
// none of that for responses of e's type. It allocates nothing where the type is in lower case.
func EarlyPolicy(p *policy.Policy, e *store.Entry) *policy.Policy {
	early := p.EagerRefresh > 0 || p.XFetch > 0
	for i := range p.ByType {
		of := &p.ByType[i].Policy
		early = early || of.EagerRefresh > 0 || of.XFetch > 0
	}
	if !early {
		return nil
	}
	if p = PolicyOf(p, e.Header); p.EagerRefresh <= 0 && p.XFetch <= 0 {
		return nil
	}
	return p
}

// RefreshesEarly reports whether a hit at now starts a refresh of e, which is fresh: by
// p.EagerRefresh, or by p.XFetch with random, from 0 up to, and not including, 1. What was left of
// the lifetime when the response came counts as its lifetime: what comes old from another cache
// would else be refreshed as soon as it is there. The time that the handler took is that of this
// very response, up to its header, in whichever process it ran.
func RefreshesEarly(e *store.Entry, p *policy.Policy, now time.Time, random float64) bool {
	left, fresh := FreshFor(e, now)
	switch whole := e.Fresh - e.Age; {
	case !fresh:
		return false
	case p.EagerRefresh > 0 && float64(whole-left) >= p.EagerRefresh*float64(whole):
		return true
	}
	took := e.Received.Sub(e.Requested)
	return p.XFetch > 0 && took > 0 &&
		-math.Log(1-random)*p.XFetch*float64(took) >= float64(left)
}
