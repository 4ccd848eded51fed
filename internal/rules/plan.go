package rules

import (
	"net/http"

	"github.com/freshet-go/freshet/policy"
)

// Plan says what to do with a request.
type Plan uint8

const (
	PlanPass       Plan = iota // run the handler, touch nothing
	PlanInvalidate             // run the handler; when it answers with no error, invalidate
	PlanLookup                 // look for a stored response
)

func (p Plan) String() string {
	switch p {
	case PlanInvalidate:
		return "invalidate"
	case PlanLookup:
		return "lookup"
	}
	return "pass"
}

// Why a request passes, besides "off" and "method".
const (
	ReasonUpgrade      policy.Reason = "upgrade"      // it asks for another protocol
	ReasonBody         policy.Reason = "body"         // a GET or HEAD with content
	ReasonPrecondition policy.Reason = "precondition" // If-Match or If-Unmodified-Since
	// a field asks for another method or URL than the request line
	ReasonOverride policy.Reason = "method-override"
	// Connection names a field that those behind the cache do not see
	ReasonConnection policy.Reason = "connection"
	ReasonPass       policy.Reason = "pass-policy" // Policy.Pass
	ReasonPassCookie policy.Reason = "pass-cookie" // it has a cookie that Policy.PassCookies lists
	// a handler outside set a Content-Security-Policy with a nonce, which is in the page too
	ReasonNonce      policy.Reason = "csp-nonce"
	ReasonKey        policy.Reason = "key"          // KeyOptions.Replace made no key
	ReasonKeyTooLong policy.Reason = "key-too-long" // the key would be longer than MaxKey
)

// planOf judges everything but the key.
func planOf(r *http.Request, p *policy.Policy, c Class, s seen) (Plan, policy.Reason) {
	switch c {
	case ClassSafe:
		return PlanPass, ReasonMethod
	case ClassUnsafe:
		if r.Method == "CONNECT" { // names no resource: nothing to invalidate
			return PlanPass, ReasonUpgrade
		}
		return PlanInvalidate, ""
	case ClassPost:
		return PlanInvalidate, ""
	}
	switch {
	case p.Off:
		return PlanPass, ReasonOff
	case p.Pass:
		return PlanPass, ReasonPass
	case s&sawUpgrade != 0:
		return PlanPass, ReasonUpgrade
	case hasContent(r):
		// A handler that reads it would answer by something that the key does not have.
		return PlanPass, ReasonBody
	case s&sawPrecondition != 0:
		// They guard a state that only the origin knows (RFC 9111 section 4.3.2).
		return PlanPass, ReasonPrecondition
	case s&sawOverride != 0:
		// An app that obeys the field answers another request than the one the key tells of. It is
		// no invalidation either: anyone could then empty the cache with GETs.
		return PlanPass, ReasonOverride
	case s&sawHidden != 0:
		return PlanPass, ReasonConnection
	case passesByCookie(p, r.Header):
		return PlanPass, ReasonPassCookie
	case s&sawAuthorization != 0 && ConnectionAuth(r.Header["Authorization"]):
		return PlanPass, ReasonConnectionAuth
	}
	return PlanLookup, ""
}

// hasContent reports whether a GET or HEAD comes with content, empty but announced as chunked
// included. net/http's HTTP/2 server gives a request without content a Body that is not
// http.NoBody, so Body tells something only on a request that no server made.
func hasContent(r *http.Request) bool {
	return r.ContentLength != 0 || // -1: in chunks
		r.RequestURI == "" && r.Body != nil && r.Body != http.NoBody
}
