package rules

import (
	"net/http"

	"github.com/freshet-go/freshet/policy"
)

// overridesLifetime reports whether the operator's lifetime goes before the one that a response
// states. d is what the response says: in a targeted field, if it is aimed. Where Cache-Control
// says private or no-store beside that field, the response lives by the field alone.
func overridesLifetime(
	p *policy.Policy, status int, h http.Header, d *ResponseDirectives, aimed bool,
) bool {
	switch {
	case !timedStatus(status):
		return false
	case p.OverridePrivate:
		d.NoStore, d.Private = false, false
		return true
	case !p.Override:
		return false
	case aimed:
		beside := ParseResponseDirectives(h)
		return !beside.NoStore && !beside.Private
	}
	return true
}

// forgetLifetime leaves of the directives what they say of who may have the response, and of its
// fields.
func (d *ResponseDirectives) forgetLifetime() {
	d.NoCache, d.MustRevalidate, d.ProxyRevalidate = false, false, false
	d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError = absent, absent, absent, absent
}
