package rules

import "github.com/freshet-go/freshet/policy"

// Why a response is not stored, in the order in which Admit judges, or why a stored response is not
// used as it is. What keeps a request from being looked up at all stands beside ReadRequest.
const (
	// the operator made the resource uncacheable
	ReasonOff policy.Reason = "off"
	// the client asked that nothing be stored
	ReasonRequestNoStore policy.Reason = "request-no-store"
	// no response to this method is stored, or not this one to a POST
	ReasonMethod policy.Reason = "method"
	// the status is not final, or not one that may be stored as it is
	ReasonStatus policy.Reason = "status"
	// a 206 that is not one part of what was asked for, or another status that says it is a part
	ReasonPartial policy.Reason = "partial"
	// must-understand, with a status that we do not know
	ReasonMustUnderstand policy.Reason = "must-understand"
	ReasonNoStore        policy.Reason = "no-store" // the response says no-store
	ReasonPrivate        policy.Reason = "private"  // the response says private
	// it has no end, or may have none and does not say how long it lives
	ReasonStream   policy.Reason = "stream"
	ReasonVaryStar policy.Reason = "vary-star" // Vary: *, or a Vary that is none
	// a response to Authorization that does not say it may be shared
	ReasonAuthorization policy.Reason = "authorization"
	ReasonCookie        policy.Reason = "cookie"     // the same for what else identifies a user
	ReasonSetCookie     policy.Reason = "set-cookie" // it sets a cookie
	// a field other than Set-Cookie gives its client a session, a token or another identity
	ReasonSetIdentity policy.Reason = "set-identity"
	// it has its client forget what the site has stored there (Clear-Site-Data)
	ReasonClearSiteData policy.Reason = "clear-site-data"
	// neither the response nor the operator says how long it lives
	ReasonNoLifetime policy.Reason = "no-lifetime"
	ReasonNoCache    policy.Reason = "no-cache" // no-cache, without anything to validate it with
	ReasonExpired    policy.Reason = "expired"  // of no use any more when it came
	ReasonSuspect    policy.Reason = "suspect"  // an error, to a request that may have caused it
	// an error, which does not take the place of the page that is stored
	ReasonPageKept policy.Reason = "page-kept"

	// stored for anonymous requests; this one identifies a user
	ReasonCredentials   policy.Reason = "credentials"
	ReasonStale         policy.Reason = "stale"           // its lifetime is over
	ReasonClock         policy.Reason = "clock"           // received in the future: see Ahead
	ReasonInvalidated   policy.Reason = "invalidated"     // marked stale by a soft invalidation
	ReasonClientNoCache policy.Reason = "client-no-cache" // the client asked for validation
	ReasonClientMaxAge  policy.Reason = "client-max-age"  // older than the client's max-age
	// not fresh for as long as the client's min-fresh
	ReasonClientFresh policy.Reason = "client-min-fresh"
)
