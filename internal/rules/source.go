package rules

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// Source says what gave a response its freshness lifetime. Of those that are there, the first
// counts (RFC 9111 section 4.2.1); a targeted field takes the place of Cache-Control and Expires
// before that (RFC 9213).
type Source uint8

const (
	SourceNone    Source = iota // nothing
	SourceNoCache               // no-cache: it is to be validated each time
	SourceSMaxAge               // s-maxage
	SourceMaxAge                // max-age
	SourceExpires               // Expires less Date
	// the operator's lifetime: a setting, Policy.TTL or the handler's SetTTL
	SourceOperator
	SourceHeuristic // a tenth of the time since Last-Modified
	SourceFailure   // the operator's for failures: Policy.FailureTTL
)

var sourceWords = [...]string{"nothing", "no-cache", "s-maxage", "max-age", "Expires", "operator",
	"heuristic", "failure"}

// String returns the directive or the field, "operator", "heuristic", "failure" or "nothing".
func (s Source) String() string { return sourceWords[s] }

// Claim is something that names a lifetime for a response, whether it counts or not.
type Claim struct {
	Source Source
	Field  string // the response field that it stands in; empty for the operator's
	Value  time.Duration
	Counts bool // it gave the lifetime
}

// Claims returns what names a lifetime for the response that a was said of, as [Admit] asks it,
// with the same arguments: the targeted field that is obeyed, Cache-Control and Expires, the
// operator's lifetime and Last-Modified.
func Claims(
	a *Admission, status int, h http.Header, p *policy.Policy, ttl time.Duration,
	received time.Time,
) (all []Claim) {
	h = Canonical(h)
	claim := func(s Source, field string, value time.Duration) {
		all = append(all, Claim{s, field, value, s == a.Source && (field == a.Field ||
			s >= SourceExpires)})
	}
	directives := func(d *ResponseDirectives, field string) {
		if d.NoCache {
			claim(SourceNoCache, field, 0)
		}
		if d.SMaxAge != absent {
			claim(SourceSMaxAge, field, d.SMaxAge)
		}
		if d.MaxAge != absent {
			claim(SourceMaxAge, field, d.MaxAge)
		}
	}
	if d, field, aimed := targeted(h, p.Targeted); aimed {
		directives(&d, field)
	}
	d := ParseResponseDirectives(h)
	directives(&d, "Cache-Control")
	none := noResponseDirectives()
	if lifetime, source := stated(h, &none, received); source == SourceExpires {
		claim(SourceExpires, "Expires", lifetime)
	}
	if ttl > 0 {
		claim(SourceOperator, "", min(ttl, maxSeconds))
	}
	if lifetime := heuristicOf(p, guessable(status, &d), h, received); lifetime > 0 {
		claim(SourceHeuristic, "Last-Modified", lifetime)
	}
	if a.Source == SourceFailure {
		claim(SourceFailure, "", a.Fresh-a.Age) // it counts from when the failure came
	}
	return all
}

// CoversStatus reports whether the operator's lifetime covers a status.
func CoversStatus(status int) bool { return timedStatus(status) }

// Identifying returns the names of the request's fields that tell who the user is, sorted, and
// besides them "a client certificate" and "a user's name in the target". Where p.Credentials
// decides, it is nil.
func Identifying(r *http.Request, p *policy.Policy) (names []string) {
	if p.Credentials != nil {
		if len(r.Header["Authorization"]) > 0 {
			return []string{"Authorization"}
		}
		return nil
	}
	for name, values := range r.Header {
		one := http.Header{name: values}
		s := scan(one)
		if s&(sawAuthorization|sawCredentials) != 0 || s&sawIdentity != 0 &&
			!inKey(one, p.Key.Headers) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		names = append(names, "a client certificate")
	}
	if r.URL.User != nil {
		names = append(names, "a user's name in the target")
	}
	return names
}

// Behind returns the names of the request's fields for which it passes, sorted; nil where no field
// is behind that.
func Behind(why policy.Reason, h http.Header) (names []string) {
	bit := map[policy.Reason]seen{
		ReasonUpgrade: sawUpgrade, ReasonPrecondition: sawPrecondition, ReasonOverride: sawOverride,
		ReasonConnection: sawHidden, ReasonConnectionAuth: sawAuthorization,
	}[why]
	if why == ReasonPassCookie {
		return []string{"Cookie"}
	}
	for name, values := range h {
		if scan(http.Header{name: values})&bit != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// KeyPart is a part of a primary key.
type KeyPart struct {
	Name  string
	Value string // as in the key
	// Hidden: the value is left out, since it may be one user's.
	Hidden bool
}

// Parts returns what the request's key is made of: its own text, cut where its parts meet. Of what
// may hold a credential it has the name alone: of cookies, fields that name a user, a user's name
// in the target, and of what KeyOptions.Replace returned.
func (q *Request) Parts() (parts []KeyPart) {
	text, ok := strings.CutPrefix(q.Key, keyMethod)
	if !ok {
		return nil
	}
	words := strings.Split(text, " ")
	parts = append(parts, KeyPart{Name: "method", Value: "GET and HEAD"})
	if scheme, rest, found := strings.Cut(words[0], "://"); found && !strings.Contains(scheme, "=") {
		host, target := rest, ""
		if at := strings.IndexAny(rest, `/\?`); at >= 0 {
			host, target = rest[:at], rest[at:]
		}
		path, query, has := strings.Cut(target, "?")
		parts = append(parts, KeyPart{Name: "scheme", Value: scheme}, KeyPart{Name: "host",
			Value: host},
			KeyPart{Name: "path", Value: path})
		if has {
			parts = append(parts, KeyPart{Name: "query", Value: query})
		}
	} else {
		scheme, _, _ := strings.Cut(words[0], "=")
		parts = append(parts, KeyPart{Name: "scheme", Value: scheme},
			KeyPart{Name: "KeyOptions.Replace", Hidden: true})
	}
	for _, extra := range words[1:] {
		parts = append(parts, partOf(extra))
	}
	return parts
}

// partOf reads one of a key's extras.
func partOf(extra string) KeyPart {
	name, value, _ := strings.Cut(extra, "=")
	part := KeyPart{Name: name, Value: value}
	field, isField := strings.CutPrefix(name, "header:")
	switch {
	case strings.HasPrefix(name, "cookie:"), name == "user", name == "url", name == "replace":
		part.Hidden = true
	case isField:
		part.Hidden = scan(http.Header{field: {value}})&(sawAuthorization|sawCredentials|sawIdentity) != 0
	}
	if part.Hidden {
		part.Value = ""
	}
	return part
}

// Dropped returns the names of the query's parameters that are not in the key, each once, in their
// order.
func (q *Request) Dropped(p *policy.Policy) (names []string) {
	if !foldsQuery(&p.Key) || p.Key.Replace != nil {
		return nil
	}
	_, query, _ := q.split()
	for text := range strings.SplitSeq(query, "&") {
		if part := readPart(text); !part.counts(&p.Key) && !slices.Contains(names, part.name) {
			names = append(names, part.name)
		}
	}
	return names
}

// CookieNames returns the names of the cookies that a response sets, without their values.
func CookieNames(h http.Header) (names []string) {
	for _, line := range Canonical(h)["Set-Cookie"] {
		name, _, _ := strings.Cut(line, "=")
		if name = trimOWS(name); isToken(name) && len(name) <= 64 {
			names = append(names, name)
		} else {
			names = append(names, strconv.Itoa(len(name))+" bytes that are no name")
		}
	}
	return names
}
