package rules

import (
	"slices"

	"github.com/freshet-go/freshet/policy"
)

// TellsApart reports whether p, the policy of a mount around another one, tells requests for a URL apart
// wherever the inner mount's policy does: by the fields and cookies of its keys, and by whom they let pass.
// Otherwise what is stored for one of them under p's key would answer the other, before the inner policy is
// asked.
func TellsApart(p, inner *policy.Policy) bool {
	return inner.Key.Replace == nil &&
		(p.Credentials == nil || inner.Shared || inner.Credentials != nil) &&
		within(inner.Key.Headers, p.Key.Headers, sameName) &&
		within(inner.Key.Cookies, p.Key.Cookies, same) &&
		within(inner.PassCookies, p.PassCookies, same)
}

// within reports whether each of the names is in the list.
func within(names, list []string, same func(a, b string) bool) bool {
	for _, name := range names {
		if !slices.ContainsFunc(list, func(other string) bool { return same(name, other) }) {
			return false
		}
	}
	return true
}

func same(a, b string) bool { return a == b }
