package rules

import (
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Use says what a stored response is good for at the moment.
type Use uint8

const (
	UseMiss                 Use = iota // nothing, for this request
	UseFresh                           // to be served as it is
	UseStaleWhileRevalidate            // to be served now, stale, while a refresh runs
	// to be revalidated, or served if that fails where Verdict allows it
	UseStale
)

func (u Use) String() string {
	switch u {
	case UseFresh:
		return "fresh"
	case UseStaleWhileRevalidate:
		return "stale-while-revalidate"
	case UseStale:
		return "stale"
	}
	return "miss"
}

// Verdict is what Judge says of a stored response.
type Verdict struct {
	Use Use
	Why policy.Reason // why it is not simply UseFresh
	TTL time.Duration // what is left of its freshness; 0 or less when it is stale

	// The rest is only told when Use is UseStaleWhileRevalidate or UseStale. Validate: it has a
	// validator that the handler knows. OnError: it may stand in for an error that the handler
	// answers (see ServerError). OnLost: it may stand in for a handler that cannot be reached at
	// all.
	// OnSlow: it may be served while the handler takes long, to a client that does not insist on a
	// newer one: within the grace for errors or for revalidation.
	Validate, OnError, OnLost, OnSlow bool
}

// Insisted reports whether the response is fresh, and not used only because the client insists on a
// newer one.
func (v Verdict) Insisted() bool { return v.Use == UseStale && v.TTL > 0 && v.Why != "" }

// Forced reports whether the client insists on a newer response than the stored one, fresh or
// stale.
func (v Verdict) Forced() bool {
	switch v.Why {
	case ReasonClientNoCache, ReasonClientMaxAge, ReasonClientFresh:
		return true
	}
	return false
}

// NewerMayServe reports whether a newer response in the place of e could serve the request, for
// which v says that e does not: e is stale, or an invalidation covers it. It reports false where the
// request refuses what is stored whatever its age, where e is fresh and the client insists on a
// newer one, and for a response that each request validates (no-cache), since so would be the newer
// one.
func NewerMayServe(e *store.Entry, v Verdict, req *Request) bool {
	switch {
	case v.Use == UseFresh, v.Why == ReasonCredentials, v.Insisted(), v.Why == ReasonClientNoCache,
		v.Why == ReasonClientMaxAge && req.Directives.MaxAge == 0:
		return false
	}
	return e.Fresh > 0 || !e.MustRevalidate || e.StaleWhileRevalidate > 0
}

// Judge says what e, whose key and variant match the request, is good for at now. coverage says
// what invalidations mean for it: softly covered, it counts as stale. It allocates nothing.
//
// A client may ask for more than a fresh response (no-cache, max-age, min-fresh) or for less
// (max-stale), unless p.IgnoreClientDirectives. A client that names a max-age and no max-stale
// takes no stale response in place of a validated one (RFC 9111 section 5.2.1.1), so there is no
// grace for it. max-age=0 asks for validation however young e is. immutable changes nothing: what
// is fresh is revalidated only at a client's word, which RFC 8246 section 2 leaves in force.
//
// What was received in the future is good for nothing (see Ahead).
//
// What forbids serving stale (e.MustRevalidate) forbids it in every case but one: an
// e.StaleWhileRevalidate beside it is the response's own stale-while-revalidate beside s-maxage,
// which [Admit] lets stand. OnLost reaches as far as the greater of Retention and StaleIfError (RFC
// 9111 section 4.2.4 allows it, RFC 5861 section 4 asks for it).
func Judge(
	e *store.Entry, req *Request, p *policy.Policy, now time.Time, coverage invalidation.Coverage,
) Verdict {
	if coverage == invalidation.CoverageHard {
		return Verdict{Why: ReasonInvalidated}
	}
	if Ahead(e, now) > 0 {
		return Verdict{Why: ReasonClock}
	}
	soft := coverage == invalidation.CoverageSoft
	left, fresh := FreshFor(e, now)
	v := Verdict{TTL: left}
	if e.Anonymous && req.Credentials && !p.Shared {
		v.Why = ReasonCredentials
		return v
	}
	switch {
	case soft:
		v.TTL, v.Why = min(left, -time.Second), ReasonInvalidated // negative, as what is stale
	case !fresh:
		v.Why = ReasonStale
	}
	stale := max(-left, 0)

	insists := policy.Reason("")
	if !p.IgnoreClientDirectives {
		insists = req.insists(e.Fresh-left, v.TTL)
	}
	switch {
	case insists != "":
		v.Why = insists
	case v.Why == "":
		v.Use = UseFresh
		return v
	}
	v.Use = UseStale
	if insists == "" && (e.StaleWhileRevalidate > 0 && stale <= e.StaleWhileRevalidate ||
		!e.MustRevalidate && !soft && !p.IgnoreClientDirectives &&
			req.Directives.MaxStale >= stale) {
		v.Use = UseStaleWhileRevalidate
	}
	v.Validate = HasValidator(e)
	if !e.MustRevalidate {
		v.OnError = e.StaleIfError > 0 && stale <= e.StaleIfError
		v.OnLost = stale <= max(e.StaleIfError, e.Retention)
	}
	v.OnSlow = insists == "" && (v.OnError || v.Use == UseStaleWhileRevalidate)
	return v
}

// ToRenew returns what Judge says of e once it is stale by a moment, for a request that comes to
// renew it and not to read it: v says that it is fresh.
func ToRenew(e *store.Entry, v Verdict) Verdict {
	v.Use, v.Validate = UseStale, HasValidator(e)
	if !e.MustRevalidate {
		v.OnError, v.OnLost = e.StaleIfError > 0, true
	}
	return v
}

// insists says why the client does not take a stored response of this age, with so much of its
// freshness left, before it is validated. Empty: it does, as far as the response itself allows.
func (req *Request) insists(age, left time.Duration) policy.Reason {
	d := &req.Directives
	switch {
	case d.NoCache:
		return ReasonClientNoCache
	case d.MaxAge != absent && (age > d.MaxAge || d.MaxAge == 0):
		return ReasonClientMaxAge
	case d.MaxAge != absent && d.MaxStale == absent && left <= 0:
		return ReasonClientMaxAge
	case d.MinFresh != absent && left < d.MinFresh:
		return ReasonClientFresh
	}
	return ""
}

// ServerError reports whether a status is an error for which stale-if-error lets a stored response
// stand in: 500, 502, 503 and 504 (RFC 5861 section 4).
func ServerError(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
