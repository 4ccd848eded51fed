package rules

import (
	"net/http"
	"slices"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Admission tells whether a response may be stored and what it is then good for: the fields of
// [store.Entry] of the same names.
type Admission struct {
	Store  bool
	Reason policy.Reason // why not, when Store is false

	Age, Fresh, StaleWhileRevalidate, StaleIfError, Retention time.Duration
	MustRevalidate, Anonymous                                 bool
	// Jitter is by how much Fresh is shorter than the lifetime that Source gave, by p.Jitter.
	Jitter time.Duration

	// Explicit: the response itself says how long it lives, or no-cache, in Cache-Control, Expires
	// or a targeted field. Otherwise its lifetime, if it has one, is the operator's or a guess.
	Explicit bool
	// Source says what gave the response its lifetime, and Field in which field its directives were
	// read: a targeted one, or Cache-Control, whether or not it is there.
	Source Source
	Field  string
	// Overridden: the operator's lifetime takes the place of the one that the response states.
	Overridden bool
	// Strip lists the fields, in canonical form, that are not stored: those of private="…" and
	// no-cache="…", and hop-by-hop fields.
	Strip []string
	// AsIs: nothing is stripped and the names are in canonical form, so that Storable would make a
	// copy and nothing else.
	AsIs bool
	// Vary lists the request fields that the response varies by, as VaryFields returns them.
	Vary []string
}

// Admit judges whether a response may be stored by a shared cache (RFC 9111 section 3), and for how
// long. h is the header as the client would get it, before [Announce]: see [Outside.Judged]. ttl is
// the operator's lifetime for this request: the setting for p.Resource or p.TTL, 0 for none.
// requested and received are when the handler began and when h was complete.
//
// Any final status may be stored when the response states its lifetime itself, except those that
// answer something which is not in the key (304, 412, 416) and those that forbid it (425: RFC 8470;
// 428, 429, 431 and 511: RFC 6585). A lifetime of the operator's covers only 200, 203, 206, 300,
// 301, 308 and 410, so that no setting keeps an error page for everyone; a heuristic one the
// statuses of RFC 9110 section 15.1 and responses that say public.
//
// Here we are stricter than the RFC. A response to a request with credentials of any kind, not only
// Authorization, must say that it is for others too (see consents) and be fresh, unless p.Shared. A
// response whose stated lifetime is 0 is kept to be validated for the anonymous alone, unless it
// says public. Set-Cookie keeps a response out, unless p.StoreCookies; so it does where
// private="Set-Cookie" or no-cache="Set-Cookie" keeps the field itself out, unless the response
// states a positive lifetime and comes from no other cache (Cache-Status). A field that gives its
// client an identity otherwise (see GivesIdentity) keeps a response out, too, unless p.Shared or
// the response states a positive lifetime beside public, s-maxage or, as above, private="…" of that
// field. A response that varies by Authorization and Cookie is for the anonymous alone if it was
// made for them, unless it says public.
//
// Clear-Site-Data, which has the client forget cookies and more, keeps a response out unless that
// states a positive lifetime beside public or s-maxage.
//
// A response to HEAD is judged as one to GET would be, and never stored.
func Admit(
	req *Request, status int, h http.Header, p *policy.Policy, ttl time.Duration, requested,
	received time.Time,
) Admission {
	asIs := plain(h)
	if !asIs {
		h = Canonical(h)
	}
	d, field, aimed := targeted(h, p.Targeted)
	if !aimed {
		d, field = ParseResponseDirectives(h), "Cache-Control"
	}
	a := Admission{Age: InitialAge(h, requested, received), Field: field}
	if a.Overridden = ttl > 0 && overridesLifetime(p, status, h, &d, aimed); a.Overridden {
		d.forgetLifetime()
		aimed = false
	}
	if a.Strip = slices.Concat(d.NoCacheFields, d.PrivateFields); !asIs {
		a.Strip = append(a.Strip, HopByHop(h)...)
	}
	if status == http.StatusPartialContent {
		a.Strip = appendOfMessage(a.Strip, h)
	}
	a.AsIs = asIs && len(a.Strip) == 0
	switch {
	case a.Overridden:
	case d.NoCache:
		a.Source = SourceNoCache
	case aimed:
		a.Fresh, a.Source = d.stated()
	default:
		a.Fresh, a.Source = stated(h, &d, received)
	}
	a.Explicit = a.Source != SourceNone
	if a.Reason = refuse(req, status, h, p, &d, &a); a.Reason != "" {
		return a
	}

	known := knownValidator(h, received)
	switch {
	case d.NoCache && !known:
		a.Reason = ReasonNoCache
		return a
	case a.Explicit:
	case aimed && (len(h["Cache-Control"]) > 0 || len(h["Expires"]) > 0):
		// The targeted field has done away with what they say of lifetimes; but they may say
		// no-store, and the operator's word is only for handlers that said nothing.
	case ttl > 0 && timedStatus(status):
		a.Fresh, a.Source = min(ttl, maxSeconds), SourceOperator
	case p.Heuristic:
		if a.Fresh = heuristicOf(p, guessable(status, &d), h, received); a.Fresh > 0 {
			a.Source = SourceHeuristic
		}
	}
	if !a.Explicit && a.Fresh > 0 && openEnded(h) {
		a.Reason = ReasonStream
		return a
	}
	if !a.Explicit && a.Fresh == 0 || req.Class == ClassPost && !a.Explicit {
		a.Reason = ReasonNoLifetime
		return a
	}
	a.shorten(p, req.Key, received)
	a.MustRevalidate = d.MustRevalidate || d.ProxyRevalidate || d.NoCache || d.SMaxAge != absent
	a.Anonymous = !p.Shared && !d.forAll() &&
		(!a.Explicit || a.Fresh == 0 || asksForCredentials(status) || variesByUser(a.Vary))
	a.staleness(p, &d, known)
	switch {
	case a.Fresh <= a.Age && !known && a.Fresh+max(a.StaleWhileRevalidate, a.StaleIfError) <= a.Age:
		a.Reason = ReasonExpired
	case req.Credentials && !p.Shared && (a.Fresh <= a.Age || a.Anonymous):
		// A stale one would only be good to ask with, and what a handler says to one user of
		// another's page is no consent: many make their validators without looking at the user.
		a.Reason = req.credentialsReason()
	case req.Class == ClassHead:
		a.Reason = ReasonMethod
	default:
		a.Store = true
	}
	return a
}

// refuse says why a response may not be stored, however long it would live.
func refuse(
	req *Request, status int, h http.Header, p *policy.Policy, d *ResponseDirectives, a *Admission,
) policy.Reason {
	var star bool
	a.Vary, star = VaryFields(h)
	switch {
	case p.Off:
		return ReasonOff
	case req.Directives.NoStore:
		return ReasonRequestNoStore
	case !storableMethod(req, status, h):
		return ReasonMethod
	case !storableStatus(status):
		return ReasonStatus
	case status == http.StatusPartialContent && !storablePart(req, h),
		status != http.StatusPartialContent && saysPart(h):
		return ReasonPartial
	case d.MustUnderstand && !understood(status):
		return ReasonMustUnderstand
	case d.NoStore && !d.MustUnderstand:
		return ReasonNoStore
	case d.Private:
		return ReasonPrivate
	case endless(h):
		return ReasonStream
	case req.connectionAuth, ConnectionAuth(h["Www-Authenticate"]):
		return ReasonConnectionAuth
	case star:
		return ReasonVaryStar
	case req.Credentials && !p.Shared && !d.consents(req, a):
		return req.credentialsReason()
	case len(h["Set-Cookie"]) > 0 && !p.StoreCookies && !a.setsAside("Set-Cookie", h):
		return ReasonSetCookie
	case len(h["Set-Cookie2"]) > 0 && !p.StoreCookies && !a.setsAside("Set-Cookie2", h):
		return ReasonSetCookie // obsolete (RFC 6265 section 9.4), and obeyed by Java's CookieManager
	case d.forAll() && a.Explicit && a.Fresh > 0:
	case !p.Shared && a.givesIdentity(h):
		return ReasonSetIdentity
	case len(h["Clear-Site-Data"]) > 0 && !a.setsAside("Clear-Site-Data", h):
		return ReasonClearSiteData
	}
	return ""
}

// OfClient reports whether a response may not be stored because of what it tells its own client to
// keep or to forget. That says nothing of the page.
func (a *Admission) OfClient() bool {
	switch a.Reason {
	case ReasonSetCookie, ReasonSetIdentity, ReasonClearSiteData:
		return true
	}
	return false
}

// consents reports whether a response says in so many words that others may have it, though it was
// made for a request with credentials. For Authorization these are the words of RFC 9111 section
// 3.5; must-revalidate is one of them only beside a positive lifetime of the response, since it is
// commonly said to keep caches from using a response at all. For other credentials, which the RFC
// does not know of, it is no word for everyone.
func (d *ResponseDirectives) consents(req *Request, a *Admission) bool {
	return d.forAll() || d.MustRevalidate && a.Explicit && a.Fresh > 0 && req.onlyAuthorization()
}

// forAll reports whether a response says that it is for everyone.
func (d *ResponseDirectives) forAll() bool { return d.Public || d.SMaxAge > 0 }

// ForEveryone reports whether a stored response, or p, says that the response is the same for all
// clients.
func ForEveryone(e *store.Entry, p *policy.Policy) bool {
	d, _, aimed := targeted(e.Header, p.Targeted)
	if !aimed {
		d = ParseResponseDirectives(e.Header)
	}
	return p.Shared || d.forAll()
}

// setsAside reports whether a response says of a field that it alone is not to be kept, and of the
// rest how long it lives. private="Set-Cookie" and no-cache="Set-Cookie" without a lifetime are
// what session middleware and load balancers add to whatever sets their cookie: no word on whether
// the page itself is the same for the next visitor. So it is where another cache stands behind this
// one, whose operator may have given the response its lifetime before the cookie came.
func (a *Admission) setsAside(field string, h http.Header) bool {
	return a.Explicit && a.Fresh > 0 && slices.Contains(a.Strip, field) &&
		len(h["Cache-Status"]) == 0
}

// variesByUser reports whether a response varies by all that HTTP knows of users. Its handler looks
// at who asks, as a cache with an operator's lifetime behind this one says of what it made for the
// anonymous (see Announce): a client that identifies itself otherwise, by X-Api-Key say, would get
// another response.
func variesByUser(vary []string) bool {
	return slices.Contains(vary, "authorization") && slices.Contains(vary, "cookie")
}

// storableMethod reports whether a response to such a request may answer a later GET. One to a POST
// may when it says that it is what a GET of the same URI would get (RFC 9110 section 9.3.3).
func storableMethod(req *Request, status int, h http.Header) bool {
	switch req.Class {
	case ClassRead, ClassHead:
		return true
	case ClassPost:
		return status == http.StatusOK && req.SelfLocation(h)
	}
	return false
}

func storableStatus(status int) bool {
	switch status {
	case http.StatusNotModified, http.StatusPreconditionFailed,
		http.StatusRequestedRangeNotSatisfiable:
		return false // each answers a field of the request that is in no key
	case http.StatusTooEarly:
		return false // RFC 8470 section 5.2
	case 428, 429, 431, 511:
		return false // RFC 6585
	}
	return 200 <= status && status <= 599
}

// understood reports whether a status is one whose requirements on caches we know and meet, which
// must-understand asks for (RFC 9111 section 5.2.2.3).
func understood(status int) bool {
	switch {
	case 200 <= status && status <= 206, 300 <= status && status <= 303, status == 307,
		status == 308:
		return true
	case 400 <= status && status <= 417, 500 <= status && status <= 505:
		return true
	}
	return status == 421 || status == 422 || status == 426 || status == 451
}

// timedStatus reports whether the operator's lifetime covers a status.
func timedStatus(status int) bool {
	switch status {
	case 200, 203, 206, 300, 301, 308, 410:
		return true
	}
	return false
}

// asksForCredentials reports whether a status answers a request for lacking what another has: a
// stored one is for those who lack it, too.
func asksForCredentials(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired
}

// knownValidator reports whether a response has a validator with which the handler can be asked
// whether it still holds.
func knownValidator(h http.Header, received time.Time) bool {
	if etag := sole(h, "Etag"); etag != "" && printable(etag) {
		return true
	}
	_, ok := ParseDate(sole(h, "Last-Modified"), received)
	return ok
}

// staleness fills in what the response is good for once it is stale (RFC 9111 section 4.2.4, RFC
// 5861). s-maxage forbids serving stale like proxy-revalidate (RFC 9111 section 5.2.2.10). Here we
// leave the RFC: the response's own stale-while-revalidate counts beside s-maxage, because those
// who send both, such as Next.js, mean both, and CDNs obey both. The operator's defaults do not
// make up for a lifetime of 0: who says max-age=0 wants to be asked each time.
func (a *Admission) staleness(p *policy.Policy, d *ResponseDirectives, known bool) {
	a.Retention = min(max(p.Retention, 0), maxSeconds)
	if p.Retention == 0 {
		a.Retention = DefaultRetention
	}
	if a.MustRevalidate {
		if !known {
			a.Retention = 0 // neither servable nor good to ask with
		}
		if !d.MustRevalidate && !d.ProxyRevalidate && !d.NoCache &&
			d.StaleWhileRevalidate != absent {
			a.StaleWhileRevalidate = d.StaleWhileRevalidate
		}
		return
	}
	if a.Fresh > 0 {
		a.StaleWhileRevalidate = min(max(p.StaleWhileRevalidate, 0), maxSeconds)
		a.StaleIfError = min(max(p.StaleIfError, 0), maxSeconds)
	}
	if d.StaleWhileRevalidate != absent {
		a.StaleWhileRevalidate = d.StaleWhileRevalidate
	}
	if d.StaleIfError != absent {
		a.StaleIfError = d.StaleIfError
	}
}
