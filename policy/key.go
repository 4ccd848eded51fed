package policy

import (
	"net/http"
	"net/url"
)

// URIKey is the text that names a resource in keys and in invalidations: what Request.URI and
// Entry.URI hold for a request to it under policy p.
func URIKey(scheme, host, escapedPath, rawQuery string, forceQuery bool, p *Policy) string {
	s := scheme + "://" + host + escapedPath
	if rawQuery != "" || forceQuery {
		s += "?" + rawQuery
	}
	return s
}

// SelfLocation reports whether the response has one Content-Location, equal to the target URI: then it is
// a representation of that URI, whatever the method (RFC 9110 section 8.7).
func (q *Request) SelfLocation(h http.Header) bool {
	l := h["Content-Location"]
	return len(l) == 1 && q.resolve(l[0], nil) == q.URI
}

// Related returns the URI key texts of the response's Location and Content-Location that are of the
// request's origin and differ from its URI: what an unsafe request invalidates besides its own target
// (RFC 9111 section 4.4).
func (q *Request) Related(h http.Header, p *Policy) []string {
	var related []string
	for _, name := range [2]string{"Location", "Content-Location"} {
		for _, l := range h[name] {
			if u := q.resolve(l, p); u != "" && u != q.URI {
				related = append(related, u)
			}
		}
	}
	return related
}

func (q *Request) resolve(ref string, p *Policy) string {
	base, err := url.Parse(q.Scheme + "://" + q.Host + q.Target)
	if err != nil {
		return ""
	}
	u, err := base.Parse(ref)
	if err != nil || u.Scheme != base.Scheme || u.Host != base.Host {
		return ""
	}
	return URIKey(u.Scheme, u.Host, u.EscapedPath(), u.RawQuery, u.ForceQuery, p)
}
