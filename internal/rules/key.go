package rules

import (
	"math/bits"
	"net/http"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// MaxKey is the greatest length in bytes of a primary key. A GET or HEAD that would have a longer
// one passes, and so does an unsafe request, since nothing can be stored under its URI.
const MaxKey = 64 << 10

// A primary key reads
//
//	GET https://example.com/path?query X-Forwarded-Host=… …
//
// A URI begins after "GET " and ends at the first space; what follows are the extras, each a space,
// a name and, for each value, "=" and the value. Its host is the canonical one, and what a handler
// could tell from it by host and target is among the extras (see form.go). Its path and query are
// as sent; by which text an invalidation names them, uri.go says. A key is injective, because what
// separates is escaped within what it separates (see escape.go): "/", "?" and "#" in the host, "?"
// in the path, "=" and space in the extras. The last of the extras is "mount", which tells one
// handler at the URL from another; behind it stands what mounts around this one tell apart besides
// (see KeepApart). A key that Replace made reads
//
//	GET https=text mount=…
//
// and differs from all others by the "=" after the scheme.
const keyMethod = "GET "

// URIKey is the text that names a resource in invalidations: what Request.URI and Entry.URI hold
// for it under policy p (nil: the zero Policy), in the form that CanonicalURI returns. scheme is
// "http" or "https", host may be of any form, escapedPath and rawQuery are as sent, and forceQuery
// tells "/x?" from "/x".
func URIKey(scheme, host, escapedPath, rawQuery string, forceQuery bool, p *policy.Policy) string {
	return CanonicalURI(uriAsSent(scheme, host, escapedPath, rawQuery, forceQuery, p))
}

func uriAsSent(
	scheme, host, escapedPath, rawQuery string, forceQuery bool, p *policy.Policy,
) string {
	var buf [512]byte
	b := appendOrigin(buf[:0], strings.ToLower(scheme), host)
	return string(appendTarget(b, escapedPath, rawQuery, forceQuery, p))
}

func appendOrigin(dst []byte, scheme, host string) []byte {
	dst = append(dst, scheme...)
	dst = append(dst, "://"...)
	return appendHost(dst, scheme, host)
}

func appendTarget(dst []byte, path, query string, force bool, p *policy.Policy) []byte {
	switch {
	case path == "":
		dst = append(dst, '/') // the same resource: RFC 9110 section 4.2.3
	case path[0] != '/':
		dst = append(dst, noSlash...)
	}
	dst = appendEscaped(dst, path, inPath)
	return appendQuery(dst, query, force, p)
}

// makeKey fills in everything that is made from the request's target, and says why not when it
// cannot.
func (q *Request) makeKey(r *http.Request, p *policy.Policy, s seen) policy.Reason {
	q.readTarget(r)
	if len(q.Target)+len(r.Host) > MaxKey && q.Class <= ClassHead {
		return ReasonKeyTooLong // before spending on it what it is not worth
	}
	replace := p.Key.Replace != nil

	var buf [256]byte
	b := append(buf[:0], keyMethod...)
	b = appendOrigin(b, q.Scheme, r.Host)
	host := len(b)
	path, query, force := q.split()
	b = appendTarget(b, path, query, force, p)
	uri := len(b)
	if !replace {
		b = appendForm(b, r, b[len(keyMethod)+len(q.Scheme)+len("://"):host], s)
		b = q.appendExtras(b, r, p, s)
		q.base = int32(len(b))
		b = q.appendMount(b)
	}
	if len(b) > MaxKey {
		return ReasonKeyTooLong
	}
	q.Key = string(b)
	q.Host = q.Key[len(keyMethod)+len(q.Scheme)+len("://") : host]
	q.URI = CanonicalURI(q.Key[len(keyMethod):uri])
	q.readSent(p)

	q.publicScheme = r.URL.Scheme
	if s&sawForwarding != 0 && !p.Key.IgnoreForwarded {
		q.readPublicOrigin(r.Header)
	}
	if replace {
		return q.replaceKey(r, p)
	}
	return ""
}

// replaceKey makes the key that the operator wants. What an unsafe request invalidates is the key
// that a GET of its target would have, whatever Replace makes of other methods.
func (q *Request) replaceKey(r *http.Request, p *policy.Policy) policy.Reason {
	if q.Class > ClassHead {
		get := *r
		get.Method = "GET"
		r = &get
	}
	text := p.Key.Replace(r)
	q.Key, q.base = "", 0
	switch {
	case text == "" && q.Class <= ClassHead:
		return ReasonKey
	case text == "":
		return ""
	}
	var buf [256]byte
	b := append(append(append(buf[:0], keyMethod...), q.Scheme...), '=')
	if b = appendEscaped(b, text, inValue); len(b) > MaxKey {
		return ReasonKeyTooLong
	}
	q.Tag, q.base = string(b), int32(len(b))
	q.Key = q.Tag
	if q.Mount != "" {
		q.Key = string(q.appendMount(b))
	}
	return ""
}

// IsReplaced reports whether a tag stands for what a Key.Replace has made.
func IsReplaced(tag string) bool {
	return strings.HasPrefix(tag, keyMethod+"http=") || strings.HasPrefix(tag, keyMethod+"https=")
}

func (q *Request) appendMount(b []byte) []byte {
	if q.Mount == "" {
		return b
	}
	return appendExtra(b, "mount", q.Mount)
}

// appendExtras appends what besides the target may change the answer.
func (q *Request) appendExtras(b []byte, r *http.Request, p *policy.Policy, s seen) []byte {
	b = q.appendRewritten(b, r, p)
	if s&sawForwarding != 0 && !p.Key.IgnoreForwarded {
		for left := uint64(s & sawForwarding); left != 0; left &= left - 1 {
			i := bits.TrailingZeros64(left)
			if i == fwdForwarded {
				b = appendForwarded(b, r.Header[forwardingFields[i]])
			} else {
				b = appendExtra(b, forwardingFields[i], r.Header[forwardingFields[i]]...)
			}
		}
	}
	return appendNominated(b, r, &p.Key)
}

// appendNominated appends the fields and cookies that the operator wants in the key.
func appendNominated(b []byte, r *http.Request, o *policy.KeyOptions) []byte {
	for _, name := range o.Headers {
		name = http.CanonicalHeaderKey(name)
		if values := r.Header[name]; len(values) > 0 {
			b = append(b, " header:"...)
			b = appendEscaped(b, name, inValue)
			b = appendValues(b, values...)
		}
	}
	for _, name := range o.Cookies {
		b = appendCookie(b, r.Header["Cookie"], name)
	}
	return b
}

// appendRewritten appends r.URL as far as it says something else than the request line does:
// middleware such as http.StripPrefix shows the same URL to two handlers, and the same request line
// may reach one handler with URLs that were rewritten by other things than the line. It appends
// nothing for what net/http's server makes of a request.
func (q *Request) appendRewritten(b []byte, r *http.Request, p *policy.Policy) []byte {
	u := r.URL
	if u.Scheme != "" && u.Scheme != q.Scheme || u.Host != "" && u.Host != r.Host ||
		u.Opaque != "" {
		b = appendExtra(b, "url", u.Scheme, u.Host, u.Opaque)
	}
	if u.User != nil {
		b = appendExtra(b, "user", u.User.String())
	}
	// A target without a path names what "/" names, but handlers see "", and ServeMux redirects it
	// to "/".
	path, query, force := q.split()
	if path == "" || !unescapesTo(path, u.Path) || u.RawPath != "" && u.RawPath != path {
		b = appendExtra(b, "path", u.Path, u.RawPath)
	}
	if u.RawQuery != query || u.ForceQuery != force {
		b = append(b, " query="...)
		b = appendEscaped(b, appendQuery(nil, u.RawQuery, u.ForceQuery, p), inValue)
	}
	return b
}

func appendExtra(b []byte, name string, values ...string) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	return appendValues(b, values...)
}

func appendValues(b []byte, values ...string) []byte {
	for _, v := range values {
		b = append(b, '=')
		b = appendEscaped(b, v, inValue)
	}
	return b
}

// appendCookie appends every value of the named cookie, as sent, in the order sent. What parsers of
// cookies take for one thing or for another has marks of its own: `\,` for each end of a line
// before the value, which Header.Get does not pass, and `\-` for a name with white space or without
// "=" behind it. Where parsers find the cookie in different places, or some do and others do not,
// all lines stand there, with `\*` before each.
func appendCookie(b []byte, lines []string, name string) []byte {
	if hidesCookie(lines, name) {
		b = append(b, " cookie:"...)
		b = appendEscaped(b, name, inValue)
		for _, line := range lines {
			b = append(b, `=\*`...)
			b = appendEscaped(b, line, inValue)
		}
		return b
	}
	found, ends := false, 0
	for i, line := range lines {
		if i > 0 {
			ends++
		}
		for more := true; more; {
			var pair string
			pair, line, more = strings.Cut(line, ";")
			rest, is := afterName(pair, name)
			if !is {
				continue
			}
			if !found {
				found = true
				b = append(b, " cookie:"...)
				b = appendEscaped(b, name, inValue)
			}
			b = append(b, '=')
			for ; ends > 0; ends-- {
				b = append(b, `\,`...)
			}
			value, plain := strings.CutPrefix(rest, "=")
			if !plain {
				b = append(b, `\-`...)
			}
			b = appendEscaped(b, value, inValue)
		}
	}
	return b
}

// afterName returns what stands behind the name in a pair of a Cookie field, if the name is that.
func afterName(pair, name string) (rest string, is bool) {
	n, _, _ := strings.Cut(pair, "=")
	if strings.Trim(n, " \t") != name {
		return "", false
	}
	return strings.TrimLeft(pair, " \t")[len(name):], true
}
