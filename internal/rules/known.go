package rules

import (
	"net/http"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// Known is what ReadRequest made of a target under a policy, to be used again for requests of the
// same target: most requests ask for what another has just asked for. It is never modified, and
// holds no reference to the http.Request that it was made of.
type Known struct {
	policy          *policy.Policy
	options         policy.KeyOptions // of the policy, when the key was made
	line, authority string            // RequestURI and Host, as sent
	urlPath, urlRaw string            // Path and RawPath of the URL

	urlQuery string // RawQuery of the URL
	force    bool   // ForceQuery of the URL

	mount, key, uri, sent, scheme, host string // what Request has
	base                                int32  // of Request
}

// maxKnown is the greatest length of a key that is remembered, so that what is kept of many stays
// small.
const maxKnown = 512

// Know returns what q, which ReadRequest has made of r under p, is good for beyond r. It returns
// nil where the target does not tell the key: because the key has more than the URI, or is the
// operator's.
func Know(r *http.Request, p *policy.Policy, q *Request) *Known {
	switch {
	case len(q.Key) > maxKnown || len(r.RequestURI) > maxKnown:
		return nil
	case int(q.base) != len(keyMethod)+len(q.URI) || p.Key.Replace != nil ||
		len(p.Key.Headers) > 0 || len(p.Key.Cookies) > 0:
		return nil
	case !strings.HasPrefix(r.RequestURI, "/"):
		return nil
	}
	k := &Known{policy: p, options: p.Key, mount: q.Mount, key: q.Key, base: q.base, uri: q.URI,
		sent: q.Sent, scheme: q.Scheme, host: q.Host}
	k.line, k.authority = k.share(r.RequestURI), k.share(r.Host)
	_, k.urlQuery, k.force = splitQuery(k.line)
	k.urlPath, k.urlRaw = k.share(r.URL.Path), k.share(r.URL.RawPath)
	return k
}

// share returns a text as a part of the key where it is one, which it mostly is, and a copy
// otherwise: what lies together is fetched from memory together.
func (k *Known) share(text string) string {
	if before, _, found := strings.Cut(k.key, text); found {
		return k.key[len(before):][:len(text)]
	}
	return strings.Clone(text)
}

// asSent reports whether a request's URL tells of no other origin than the connection does.
func asSent(r *http.Request, scheme string) bool {
	u := r.URL
	return (u.Scheme == "" || u.Scheme == scheme) && (u.Host == "" || u.Host == r.Host) &&
		u.Opaque == "" && u.User == nil
}

// sameOptions reports whether nobody has changed the options, of a policy that should not have
// been. Of those that are remembered, neither has Replace, Headers or Cookies.
func sameOptions(o, now *policy.KeyOptions) bool {
	return now.Replace == nil && len(now.Headers) == 0 && len(now.Cookies) == 0 &&
		o.SortQuery == now.SortQuery &&
		o.IgnoreForwarded == now.IgnoreForwarded && sameList(o.KeepParams, now.KeepParams) &&
		sameList(o.DropParams, now.DropParams)
}

// sameList reports whether two lists are one.
func sameList(a, b []string) bool {
	return len(a) == len(b) && (a == nil) == (b == nil) && (len(a) == 0 || &a[0] == &b[0])
}

// tells reports whether the key of r under p is the known one. k may be nil.
func (k *Known) tells(r *http.Request, p *policy.Policy, mount, scheme string, s seen) bool {
	u := r.URL
	return k != nil && k.policy == p && k.mount == mount && sameOptions(&k.options, &p.Key) &&
		k.scheme == scheme && k.line == r.RequestURI && k.authority == r.Host &&
		s&sawHost == 0 && (s&sawForwarding == 0 || p.Key.IgnoreForwarded) && asSent(r, scheme) &&
		u.Path == k.urlPath && u.RawPath == k.urlRaw && u.RawQuery == k.urlQuery &&
		u.ForceQuery == k.force
}

// use fills in what makeKey would.
func (q *Request) use(k *Known, r *http.Request) {
	q.Key, q.URI, q.Sent, q.Host = k.key, k.uri, k.sent, k.host
	q.Target, q.publicScheme, q.base, q.recalled = k.line, r.URL.Scheme, k.base, true
}

// Recalled says that the key was known.
func (q *Request) Recalled() bool { return q.recalled }
