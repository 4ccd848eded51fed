package rules

import (
	"net/http"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// PolicyOf returns the policy that counts for a response with the header h: p's own, or the one
// that p.ByType has for the response's type.
func PolicyOf(p *policy.Policy, h http.Header) *policy.Policy {
	if len(p.ByType) == 0 {
		return p
	}
	media := mediaType(Canonical(h))
	for i := range p.ByType {
		for _, pattern := range p.ByType[i].Types {
			if matchesType(pattern, media) {
				return &p.ByType[i].Policy
			}
		}
	}
	return p
}

// matchesType reports whether a media type, empty where a response has none, is one that a pattern
// stands for.
func matchesType(pattern, media string) bool {
	if pattern == "*" {
		return true
	}
	begin, any := strings.CutSuffix(pattern, "*")
	if !any {
		return media == pattern && media != ""
	}
	rest, ok := strings.CutPrefix(media, begin)
	return ok && isToken(rest)
}
