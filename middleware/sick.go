package middleware

import (
	"fmt"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// wrongsOfSick returns what cannot work of what a policy says for handlers that are slow or sick.
func wrongsOfSick(p *policy.Policy) (all []string) {
	wrong := func(is bool, field string, value any, allowed string) {
		if is {
			all = append(all, fmt.Sprintf("a policy's %s is %v: allowed is %s", field, value, allowed))
		}
	}
	// so written, a value that is no number is wrong
	wrong(p.Throttle < 0, "Throttle", p.Throttle, "a length of time, or 0 for none")
	wrong(!(p.EagerRefresh >= 0 && p.EagerRefresh < 1), "EagerRefresh", p.EagerRefresh,
		"a fraction of the lifetime that is less than 1, such as 0.8, or 0 for no refresh before "+
			"the response is stale")
	wrong(!(p.XFetch >= 0 && p.XFetch <= rules.MaxXFetch), "XFetch", p.XFetch,
		fmt.Sprintf("a number up to %d, such as 1, or 0 for none", rules.MaxXFetch))
	wrong(!(p.Jitter >= 0 && p.Jitter < 1), "Jitter", p.Jitter,
		"a fraction of the lifetime that is less than 1, such as 0.1, or 0 for none")
	wrong(p.FailureTTL < 0 || p.FailureTTL > rules.MaxFailureTTL, "FailureTTL", p.FailureTTL,
		fmt.Sprintf("a length of time up to %v, or 0 for none", rules.MaxFailureTTL))
	return all
}
