package rules

import (
	"net/http"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/store"
)

// A response says in Access-Control-Allow-Origin which origin's scripts may read it. Many handlers
// answer with the Origin of the request, or add the field only where there is one, and do not say
// Vary: Origin. What they answered one origin, or a request without, would be refused by the
// browser of another. So here we are stricter than RFC 9111 section 4.1: a request with an Origin
// gets what is stored only where that says that it may, or where a handler outside the cache has
// answered the origin.

// Origin is the origin of a page whose scripts ask for what is of another origin. The zero value is
// none.
type Origin struct {
	lines    []string
	answered bool // a handler outside the cache has
}

// OriginOf returns the origin that r names, and whether o answers it. Browsers name the page's own
// origin too, when a page gets its fonts and modules, and then look at no
// Access-Control-Allow-Origin: that counts as none.
func OriginOf(r *http.Request, o *Outside) Origin {
	lines := r.Header["Origin"]
	if len(lines) == 1 && isOwnOrigin(lines[0], r) {
		lines = nil
	}
	return Origin{lines, o.allowsOrigin}
}

// isOwnOrigin reports whether an origin is that of the request's target, as far as it is known: a
// proxy in front may have ended TLS, and https pages get nothing by http.
func isOwnOrigin(origin string, r *http.Request) bool {
	scheme, host, _ := strings.Cut(origin, "://")
	if scheme != "https" && (scheme != "http" || r.TLS != nil ||
		forwarded(r, fwdProto) == "https") {
		return false
	}
	return sameHost(scheme, host, r.Host) || sameHost(scheme, host, forwarded(r, fwdHost))
}

// forwarded returns the first element of a forwarding field.
func forwarded(r *http.Request, field int) string {
	if v := r.Header[forwardingFields[field]]; len(v) > 0 {
		return firstElement(v[0])
	}
	return ""
}

func sameHost(scheme, one, two string) bool {
	return one != "" && string(appendHost(nil, scheme, one)) == string(appendHost(nil, scheme, two))
}

// Allowed reports whether a stored response is for the origin: it was selected by it, or allows it
// in so many words; where it says nothing, a handler outside has answered.
func (q Origin) Allowed(e *store.Entry) bool {
	if len(q.lines) == 0 {
		return true
	}
	if _, selected := e.Vary["Origin"]; selected {
		return true
	}
	allowed := e.Header[allowOrigin]
	if len(allowed) == 0 {
		return q.answered
	}
	return len(allowed) == 1 && (allowed[0] == "*" || len(q.lines) == 1 && allowed[0] == q.lines[0])
}

// Splits reports whether a response to the request, with the header h (canonical) and varying by
// the fields vary, is for that origin alone, though its Vary does not say so.
func (q Origin) Splits(h http.Header, vary []string) bool {
	if len(q.lines) == 0 || slices.Contains(vary, "origin") {
		return false
	}
	if allowed := h[allowOrigin]; len(allowed) > 0 {
		return len(allowed) > 1 || allowed[0] != "*"
	}
	return !q.answered
}

// Tell adds Vary: Origin to the header of a response that names the request's origin and does not
// say so, for the caches on its way, as the Fetch standard asks of its handler (section "CORS
// protocol and HTTP caches").
func (q Origin) Tell(h http.Header) {
	if len(q.lines) == 0 {
		return
	}
	own := Canonical(h)
	if len(own[allowOrigin]) == 0 {
		return
	}
	if fields, star := VaryFields(own); !star && q.Splits(own, fields) {
		h.Add("Vary", "Origin")
	}
}

const allowOrigin = "Access-Control-Allow-Origin"
