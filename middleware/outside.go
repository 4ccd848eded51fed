package middleware

import (
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// besides answers a request for which a handler outside has set a cookie, or a policy with a nonce:
// the page may hold what it stands for, such as a token of a form, so the handler makes it for this
// client alone. A refresh has no client.
func (x *exchange) besides(why policy.Reason) {
	if why == rules.ReasonNonce {
		x.c.warnOfNonce()
	} else {
		x.adviseOnIgnored(rules.SetsIgnoredCookie(x.w.Header(), x.p))
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
