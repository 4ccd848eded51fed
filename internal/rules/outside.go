package rules

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Outside is what handlers outside the cache have put into a response's header, as far as it bears
// on caching. They run for each request, so their fields are made anew on every hit and are never
// stored; but the client gets them together with the response, which is judged by both. The zero
// value is nothing.
type Outside struct {
	// Cookie: a cookie is set, and the policy does not say that the page is the same for everybody
	// (Shared or StoreCookies). Such a request is answered by its handler alone.
	Cookie bool
	// Beside: a cookie is set, and the policy says that the page is the same for everybody.
	Beside bool
	// Identity: a field gives the client another identity than a cookie (see GivesIdentity), and
	// the policy does not say that the page is the same for everybody (Shared). Such a request is
	// answered by its handler alone, too.
	Identity bool
	// Nonce: a Content-Security-Policy has a nonce, which the handler puts into its page as well,
	// and the policy does not say that the page is the same for everybody (Shared). It is answered
	// by its handler alone, too.
	Nonce bool

	// ForAll: it says that responses vary by who asks, and the policy says that the page is the
	// same for everybody (Shared).
	ForAll bool

	speaks bool // see Speaks
	// allowsOrigin: a CORS handler has answered the request's origin (Access-Control-Allow-Origin).
	allowsOrigin bool
	// responses vary, on its account, by what no request can be known to match
	star bool
	vary []string // ... and by these fields
	// Cache-Control, Expires, targeted fields, Vary, Set-Cookie and what gives an identity; nil
	// when none matters
	fields http.Header

	late   bool        // the fields came when the response was sent: see Late
	stands http.Header // ... and this is the header with them
}

// ReadOutside reads the header that handlers outside the cache have made. It keeps the values, and
// not the map.
//
// Three fields of Vary do not split what is stored, since what they speak of is made anew on every
// hit: Accept-Encoding, which is what compressors outside say; Origin beside Access-Control-*
// fields, which is what CORS handlers say when they have answered an origin; and, where p is
// Shared, Cookie and Authorization. A handler inside that says the same speaks of its own page, and
// splits it.
func ReadOutside(h http.Header, p *policy.Policy) (o Outside) {
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		switch name = http.CanonicalHeaderKey(name); {
		case name == "Set-Cookie" || name == "Set-Cookie2":
			if p.Shared || p.StoreCookies {
				o.Beside = true
				continue
			}
			o.Cookie = true
		case name == "Vary":
			o.readVary(values, h, p)
			continue
		case name == securityPolicy, name == securityReports:
			o.Nonce = o.Nonce || !p.Shared && slices.ContainsFunc(values, hasNonce)
			continue
		case name == allowOrigin:
			o.allowsOrigin = true
			continue
		case NamesLifetime(name, p):
			o.speaks = true
		case !p.Shared && GivesIdentity(name, values):
			o.Identity = true
		default:
			continue
		}
		o.put(name, values)
	}
	return o
}

// NamesLifetime reports whether a field says how long a response lives, and for whom: whether it is
// Cache-Control, Expires or a targeted field that p obeys. The one that a handler inside sets takes
// the place of one outside.
func NamesLifetime(name string, p *policy.Policy) bool {
	return sameName(name, "Cache-Control") || sameName(name, "Expires") ||
		slices.ContainsFunc(targetedNames(p), func(n string) bool { return sameName(n, name) })
}

// Lifetimes returns the fields of h that NamesLifetime.
func Lifetimes(h http.Header, p *policy.Policy) http.Header {
	fields := http.Header{}
	for name, values := range h {
		if NamesLifetime(name, p) {
			fields[name] = values
		}
	}
	return fields
}

// Alone says why the request's own handler must answer it; empty: nothing outside asks for that.
func (o *Outside) Alone() policy.Reason {
	switch {
	case o.Cookie:
		return ReasonSetCookie
	case o.Identity:
		return ReasonSetIdentity
	case o.Nonce:
		return ReasonNonce
	}
	return ""
}

func (o *Outside) put(name string, values []string) {
	if o.fields == nil {
		o.fields = make(http.Header, 4)
	}
	o.fields[name] = append(slices.Clip(o.fields[name]), values...)
}

// readVary keeps the fields of a Vary that split what is stored.
func (o *Outside) readVary(lines []string, h http.Header, p *policy.Policy) {
	fields, star := VaryFields(http.Header{"Vary": lines})
	if star {
		o.star = true
		o.put("Vary", []string{"*"})
		return
	}
	fields = slices.DeleteFunc(fields, func(f string) bool {
		switch f {
		case "accept-encoding":
			return true
		case "origin":
			return answersOrigin(h)
		}
		if tellsWho(f) {
			o.ForAll = o.ForAll || p.Shared
			return p.Shared
		}
		return false
	})
	if len(fields) > 0 {
		o.vary = append(o.vary, fields...)
		o.put("Vary", fields)
	}
}

// tellsWho reports whether a request field says who asks, so that a page that is the same for all
// does not vary by it.
func tellsWho(field string) bool { return field == "cookie" || field == "authorization" }

// answersOrigin reports whether a CORS handler has answered the request's origin.
func answersOrigin(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(http.CanonicalHeaderKey(name), "Access-Control-Allow-") {
			return true
		}
	}
	return false
}

// Speaks reports whether a Cache-Control, an Expires or a targeted field stands outside: then the
// cache has nothing to announce.
func (o *Outside) Speaks() bool { return o.speaks }

// Judged returns the header by which a response is judged whose handler made the header own: what
// the client would get, with a Cache-Control or Expires of the handler's own in the place of one
// outside. It is own itself when nothing outside bears on caching.
func (o *Outside) Judged(own http.Header) http.Header {
	if o.fields == nil {
		return own
	}
	judged := maps.Clone(Canonical(own))
	if judged == nil {
		judged = http.Header{}
	}
	for name, values := range o.fields {
		switch {
		case name == "Vary" || name == "Set-Cookie":
			judged[name] = slices.Concat(values, judged[name])
		case judged[name] == nil:
			judged[name] = values
		}
	}
	return judged
}

// Objects says why a stored response may not be used, at now, for a request whose client also gets
// what is outside; empty: it may. What the response itself says of its lifetime takes the place of
// what stands outside, as it did when it was made; what the cache announced does not, nor does what
// came too early to replace what has been set since: see Late.
func (o *Outside) Objects(e *store.Entry, p *policy.Policy, now time.Time) policy.Reason {
	if o.fields == nil && o.Alone() == "" {
		return ""
	}
	return o.objects(e, p, now)
}

func (o *Outside) objects(e *store.Entry, p *policy.Policy, now time.Time) policy.Reason {
	switch why := o.Alone(); {
	case why != "":
		return why
	case o.star:
		return ReasonVaryStar
	}
	for _, f := range o.vary {
		if _, selected := e.Vary[canonical(f)]; !selected && !(tellsWho(f) && forAll(e.Header)) {
			return ReasonVaryStar
		}
	}
	if !o.speaks {
		return ""
	}
	d, first, aimed := targeted(o.fields, p.Targeted)
	for _, name := range targetedNames(p) {
		if name = http.CanonicalHeaderKey(name); o.replaced(e, name) {
			return ""
		}
		if aimed && name == first {
			break
		}
	}
	switch {
	case aimed:
	case o.replaced(e, "Cache-Control"):
		return ""
	case len(o.fields["Cache-Control"]) > 0:
		d = ParseResponseDirectives(o.fields)
	case o.replaced(e, "Expires"):
		return ""
	default:
		if expires, ok := ParseDate(sole(o.fields, "Expires"), now); !ok || !expires.After(now) {
			return ReasonExpired
		}
		return ""
	}
	return d.forbids(e)
}

// replaced reports whether the field of e takes the place of one outside: not where that was set in
// its place since, or where it has been removed since.
func (o *Outside) replaced(e *store.Entry, name string) bool {
	if e.Announced || len(e.Header[name]) == 0 {
		return false
	}
	return !o.late || len(o.fields[name]) == 0 && len(o.stands[name]) > 0
}

// forbids says why directives that stand outside do not let e be used.
func (d *ResponseDirectives) forbids(e *store.Entry) policy.Reason {
	lifetime, limited := d.lifetime()
	switch {
	case d.NoStore:
		return ReasonNoStore
	case d.Private:
		return ReasonPrivate
	case d.NoCache:
		return ReasonNoCache
	case limited && lifetime <= 0:
		return ReasonExpired
	}
	for _, name := range slices.Concat(d.PrivateFields, d.NoCacheFields) {
		if len(e.Header[name]) > 0 || len(e.Trailer[name]) > 0 {
			return ReasonPrivate
		}
	}
	return ""
}

// Sent is what a header says of caching at the moment when it is sent, for Late to compare.
type Sent struct {
	cookies, control, expires, vary []string
	security, reportOnly            []string    // Content-Security-Policy
	targeted                        [][]string  // of those that the policy obeys
	identity                        http.Header // of the fields that give an identity
	size                            int
}

// SentWith remembers the values of h, and not the map.
func SentWith(h http.Header, p *policy.Policy) Sent {
	s := Sent{size: len(h)}
	for name, values := range h {
		switch name {
		case "Set-Cookie":
			s.cookies = values
		case "Cache-Control":
			s.control = values
		case "Expires":
			s.expires = values
		case "Vary":
			s.vary = values
		case "Content-Security-Policy":
			s.security = values
		case "Content-Security-Policy-Report-Only":
			s.reportOnly = values
		default:
			if usual(name) {
				continue
			}
			if http.CanonicalHeaderKey(name) != name { // some put a set-cookie into the map itself
				return SentWith(recased(h), p)
			}
			if GivesIdentity(name, values) {
				if s.identity == nil {
					s.identity = http.Header{}
				}
				s.identity[name] = values
			}
		}
	}
	for i, name := range targetedNames(p) {
		if values := h[http.CanonicalHeaderKey(name)]; len(values) > 0 {
			if s.targeted == nil {
				s.targeted = make([][]string, len(targetedNames(p)))
			}
			s.targeted[i] = values
		}
	}
	return s
}

// equal reports whether nothing has changed.
func (s *Sent) equal(now *Sent) bool {
	return now.size == s.size && slices.Equal(now.cookies, s.cookies) && slices.Equal(now.control,
		s.control) &&
		slices.Equal(now.expires, s.expires) && slices.Equal(now.vary, s.vary) &&
		slices.Equal(now.security, s.security) && slices.Equal(now.reportOnly, s.reportOnly) &&
		slices.EqualFunc(now.targeted, s.targeted, slices.Equal[[]string]) &&
		maps.EqualFunc(now.identity, s.identity, slices.Equal[[]string])
}

// before returns what was sent in a targeted field.
func (s *Sent) before(name string, p *policy.Policy) (values []string, obeyed bool) {
	i := slices.IndexFunc(targetedNames(p), func(n string) bool { return sameName(n, name) })
	if i >= 0 && s.targeted != nil {
		values = s.targeted[i]
	}
	return values, i >= 0
}

// Late returns what handlers outside have added to the header, or changed in it, while it was sent:
// as session middleware does that sets its cookie only then. h is the header afterwards. A cookie
// that comes so late may be of the handler's making, so it counts where p is Shared, too. A
// lifetime that comes so late has taken the place of the handler's own, or stands beside it.
func (s *Sent) Late(h http.Header, p *policy.Policy) (o Outside) {
	if now := SentWith(h, p); s.equal(&now) {
		return Outside{}
	}
	changed := make(http.Header, 4)
	for name, values := range h {
		switch http.CanonicalHeaderKey(name) {
		case "Set-Cookie":
			values = Added(values, s.cookies)
		case "Cache-Control":
			values = Added(values, s.control)
		case "Expires":
			values = Added(values, s.expires)
		case "Vary":
			values = Added(values, s.vary)
		case "Content-Security-Policy":
			values = Added(values, s.security)
		case "Content-Security-Policy-Report-Only":
			values = Added(values, s.reportOnly)
		default:
			before, obeyed := s.before(name, p)
			switch {
			case obeyed:
				values = Added(values, before)
			case GivesIdentity(name, values):
				values = Added(values, s.identity[http.CanonicalHeaderKey(name)])
			// which tells what Vary: Origin means
			case !strings.HasPrefix(name, "Access-Control-Allow-"):
				continue
			}
		}
		changed[name] = values
	}
	o = ReadOutside(changed, p)
	o.late, o.stands = true, h
	o.Cookie = !p.StoreCookies && setsCookie(changed)
	return o
}

func setsCookie(h http.Header) bool {
	for name, values := range h {
		if len(values) > 0 && http.CanonicalHeaderKey(name) == "Set-Cookie" {
			return true
		}
	}
	return false
}

// Added returns what is new in the values of a field: those after the ones that were there before,
// or all.
func Added(now, before []string) []string {
	if len(now) >= len(before) && slices.Equal(now[:len(before)], before) {
		return now[len(before):]
	}
	return now
}

// targetedNames returns the names of the fields that p obeys.
func targetedNames(p *policy.Policy) []string {
	if p.Targeted == nil {
		return defaultTargeted
	}
	return p.Targeted
}

// KeepFromOthers keeps a response that sets a cookie from the shared caches on its way, no matter
// which handler set the cookie. Cache-Control gets private, in the place of public and s-maxage,
// unless it has private or no-store already; fields for CDNs and proxies go. A silent response gets
// private, too: caches may guess a lifetime for it (RFC 9111 section 4.2.2), and some go on to keep
// the cookie. A header without Set-Cookie is left alone.
func KeepFromOthers(h http.Header) {
	if setsCookie(h) {
		KeepPrivate(h)
	}
}

// KeepPrivate does for any response what KeepFromOthers does for one that sets a cookie.
func KeepPrivate(h http.Header) {
	for name, values := range h {
		if len(values) > 0 && forSharedCaches(http.CanonicalHeaderKey(name)) {
			delete(h, name)
		}
	}
	if value, changed := private(Canonical(h)["Cache-Control"]); changed {
		for name := range h {
			if sameName(name, "Cache-Control") {
				delete(h, name)
			}
		}
		h["Cache-Control"] = []string{value}
	}
}

// KeepFromAll makes h the header of an error that a cache answers itself, and that nobody is to
// keep: no-store takes the place of what handlers outside say of their pages' lifetimes, also to
// CDNs, which would go by that instead (RFC 9213 section 2.2), and validators of other pages go.
func KeepFromAll(h http.Header) {
	DropLifetimes(h)
	h["Cache-Control"] = []string{"no-store"}
}

// DropLifetimes removes the fields that say for how long caches keep a response, and its
// validators, as net/http removes them from an error in the place of a file.
func DropLifetimes(h http.Header) {
	for name := range h {
		switch field := http.CanonicalHeaderKey(name); {
		case field == "Cache-Control", field == "Expires", field == "Etag", field == "Last-Modified",
			forSharedCaches(field):
			delete(h, name)
		}
	}
}

// forSharedCaches reports whether a field tells CDNs and proxies, and nobody else, what to keep.
func forSharedCaches(name string) bool {
	return strings.HasSuffix(name, "-Cache-Control") || name == surrogateControl ||
		name == "X-Accel-Expires" || name == "Edge-Control"
}

// private returns lines of Cache-Control as one line that keeps a response from shared caches.
// changed is false when they do so already.
func private(lines []string) (line string, changed bool) {
	parts := []string{"private"}
	s := directiveScanner{lines: lines}
	for one, ok := s.next(); ok; one, ok = s.next() {
		switch name, _, qualified := strings.Cut(one, "="); strings.ToLower(trimOWS(name)) {
		case "private", "no-store":
			if !qualified {
				return "", false
			}
		case "public", "s-maxage", "proxy-revalidate":
		default:
			parts = append(parts, one)
		}
	}
	if s.unclosed {
		return "private, no-store", true
	}
	return strings.Join(parts, ", "), true
}
