package rules

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// readTarget takes the target from the request line, which middleware does not rewrite, or from
// r.URL on a request that has no request line or none of use.
func (q *Request) readTarget(r *http.Request) {
	if target, ok := pathAndQuery(r.RequestURI); ok {
		q.Target = target
		return
	}
	q.Target = r.URL.EscapedPath()
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		q.Target += "?" + r.URL.RawQuery
	}
}

// split returns the two halves of Target, and whether it ends in "?".
func (q *Request) split() (path, query string, force bool) { return splitQuery(q.Target) }

// pathAndQuery cuts scheme and authority from a request-target in absolute-form; one in origin-form
// is what it is ("//x/y" is a path). Of other forms it understands nothing (RFC 9112 section 3.2).
func pathAndQuery(target string) (string, bool) {
	if strings.HasPrefix(target, "/") {
		return target, true
	}
	scheme, rest, found := strings.Cut(target, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", false
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:], true
	}
	return "", true
}

// splitQuery cuts a target as net/url does: force stands for a "?" with nothing behind it.
func splitQuery(target string) (path, query string, force bool) {
	path, query, found := strings.Cut(target, "?")
	return path, query, found && query == ""
}

// readPublicOrigin notes the origin that the client sees, where a proxy in front tells of it.
func (q *Request) readPublicOrigin(h http.Header) {
	if v := h[forwardingFields[fwdProto]]; len(v) > 0 {
		q.publicScheme = firstElement(v[0])
	}
	if v := h[forwardingFields[fwdHost]]; len(v) > 0 {
		q.publicHost = firstElement(v[0])
	}
}

// PublicHTTPS reports whether the client's own connection is one of https: it is TLS, or a proxy in
// front says in X-Forwarded-Proto that it ends TLS.
func (q *Request) PublicHTTPS() bool {
	return q.Scheme == "https" || strings.EqualFold(q.publicScheme, "https")
}

func firstElement(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return strings.Trim(first, " \t")
}

// SelfLocation reports whether the response has one Content-Location and that is the target URI,
// byte for byte once resolved: then the response represents that URI, whatever the method
// (RFC 9110 section 8.7), and one to a POST may answer later GETs of it (section 9.3.3).
func (q *Request) SelfLocation(h http.Header) bool {
	l := h["Content-Location"]
	if len(l) != 1 || q.Key == "" {
		return false
	}
	u := q.resolve(l[0])
	path, query, force := q.split()
	return u != nil && uriAsSent(q.Scheme, q.Host, u.EscapedPath(), u.RawQuery, u.ForceQuery,
		nil) ==
		uriAsSent(q.Scheme, q.Host, path, query, force, nil)
}

// maxRelated bounds how many URIs one response may have invalidated besides its own.
const maxRelated = 8

// readSent notes the URI as sent, where an entry under the key may have been made of another one.
func (q *Request) readSent(p *policy.Policy) {
	if p.Key.Replace == nil && !foldsQuery(&p.Key) {
		return
	}
	path, query, force := q.split()
	sent := URIKey(q.Scheme, q.Host, path, query, force, nil)
	if p.Key.Replace != nil || sent != q.URI {
		q.Sent = sent
	}
}

// Names appends the URI texts that the target has under the policies to those of uris that are not
// there already: first the one as sent. A nil policy is the zero Policy.
func (q *Request) Names(uris []string, under ...*policy.Policy) []string {
	sent := q.Sent
	if sent == "" {
		sent = q.URI
	}
	uris = appendNew(uris, sent)
	path, query, force := q.split()
	return appendFolded(uris, q.Scheme, q.Host, path, query, force, under)
}

// URIKeys appends what URIKey makes of a URL under no policy, and under each of the policies, to
// those of uris that are not there already.
func URIKeys(
	uris []string, scheme, host, path, query string, force bool, under ...*policy.Policy,
) []string {
	uris = appendNew(uris, URIKey(scheme, host, path, query, force, nil))
	return appendFolded(uris, scheme, host, path, query, force, under)
}

func appendFolded(
	uris []string, scheme, host, path, query string, force bool, under []*policy.Policy,
) []string {
	if query == "" {
		return uris // policies fold nothing else
	}
	for _, p := range under {
		uris = appendNew(uris, URIKey(scheme, host, path, query, force, p))
	}
	return uris
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// Related returns the URI texts that the response's Location and Content-Location have under the
// policies, as far as they are of the request's origin and name none that the target has: what a
// successful unsafe request invalidates besides its own target (RFC 9111 section 4.4; another
// origin's URI must not be). Nil: none.
func (q *Request) Related(h http.Header, under ...*policy.Policy) []string {
	var related []string
	for _, u := range q.RelatedURLs(h) {
		related = URIKeys(related, q.Scheme, q.Host, u.EscapedPath(), u.RawQuery, u.ForceQuery,
			under...)
	}
	if related == nil {
		return nil
	}
	own := q.Names(nil, under...)
	related = slices.DeleteFunc(related, func(uri string) bool { return slices.Contains(own, uri) })
	if len(related) == 0 {
		return nil
	}
	return related
}

// RelatedURLs returns the URLs of which Related returns the texts, the target's own included.
func (q *Request) RelatedURLs(h http.Header) (urls []*url.URL) {
	for _, name := range [...]string{"Location", "Content-Location"} {
		for _, l := range h[name] {
			u := q.resolve(l)
			if u == nil {
				continue
			}
			if len(urls) == maxRelated {
				return urls
			}
			urls = append(urls, u)
		}
	}
	return urls
}

// resolve returns a reference relative to the target (RFC 3986 section 5.2), or nil when it is
// malformed or of another origin. Behind a proxy that ends TLS the app names its public origin,
// while keys have that of the connection: both count as the request's own. The host of a URI text
// is in every case the connection's.
func (q *Request) resolve(ref string) *url.URL {
	if len(ref) > MaxKey {
		return nil
	}
	base, err := url.Parse(q.Scheme + "://" + q.Host + q.Target)
	if err != nil {
		return nil
	}
	u, err := base.Parse(ref)
	if err != nil || u.Opaque != "" || u.User != nil || !q.ownOrigin(u.Scheme, u.Host) {
		return nil
	}
	return u
}

func (q *Request) ownOrigin(scheme, host string) bool {
	own := scheme == q.Scheme || scheme == strings.ToLower(q.publicScheme)
	host = string(appendHost(nil, scheme, host))
	return own && (host == q.Host || q.publicHost != "" &&
		host == string(appendHost(nil, scheme, q.publicHost)))
}
