package rules

import (
	"net/http"
	"strings"
)

// Expire has the header h say that its response is stale, whatever its age: Cache-Control and the
// fields for CDNs get max-age=0 in the place of their lifetimes, and keep what else they say.
func Expire(h http.Header) {
	for name, lines := range h {
		switch field := http.CanonicalHeaderKey(name); {
		case field == "Expires", field == "Edge-Control":
			delete(h, name) // which Cache-Control takes the place of
		case field == "X-Accel-Expires":
			h[name] = []string{"0"}
		case field == "Cache-Control", forSharedCaches(field):
			h[name] = []string{expired(lines)}
		}
	}
	if len(Canonical(h)["Cache-Control"]) == 0 {
		h["Cache-Control"] = []string{"max-age=0"}
	}
}

// expired returns lines of Cache-Control as one line without a lifetime.
func expired(lines []string) string {
	parts := []string{"max-age=0"}
	s := directiveScanner{lines: lines}
	for one, ok := s.next(); ok; one, ok = s.next() {
		name, _, _ := strings.Cut(one, "=")
		switch strings.ToLower(trimOWS(name)) {
		case "max-age", "s-maxage", "immutable":
		default:
			parts = append(parts, one)
		}
	}
	if s.unclosed {
		return "no-store" // what it may have said is lost
	}
	return strings.Join(parts, ", ")
}
