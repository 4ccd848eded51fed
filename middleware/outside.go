package middleware

import (
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// besides answers a request for which a handler outside has set a cookie, or a policy with a nonce: the page may hold
// what it stands for, such as a token of a form, so the handler makes it for this client alone. A refresh has no
// client.
func (x *exchange) besides(why policy.Reason) {
	if why == rules.ReasonNonce {
		x.c.warnOfNonce()
	} else {
		x.adviseOnIgnored()
	}
	switch {
	case x.refresh != nil:
		x.refresh.who.arrived.Store(true) // the next may come without a cookie
	case x.req.Directives.OnlyIfCached:
		x.notCached()
	default:
		x.pass(why)
	}
}

// objects says whether a stored response may not be used because of what stands outside.
func (x *exchange) objects(e *store.Entry, now time.Time) bool {
	if x.outside.Objects(e, x.p, now) == "" {
		return false
	}
	x.missed = policy.FwdMiss
	return true
}
