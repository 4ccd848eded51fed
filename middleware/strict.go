package middleware

import "github.com/freshet-go/freshet/policy"

// unavailable answers a request with 503 because the store or its journal fails, and Options.Strict
// says so. For a refresh in the background that is an error of the moment; see nowhere.refused.
func (x *exchange) unavailable(why policy.Reason) {
	out := policy.Outcome{Detail: why}
	x.sendUnavailable(&out)
	x.observe(out)
}
