package rules

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// maxCookies and maxCookieBytes bound the Cookie fields out of which cookies are ignored, so that a
// client's megabyte of cookies costs no time. Browsers send at most 180 cookies to a site, and
// servers take 8 KiB.
const (
	maxCookies     = 256
	maxCookieBytes = 16 << 10
)

// WithoutIgnoredCookies returns r as the cache and the handlers of its runs see it: without the
// cookies that p ignores. It is r itself when there are none, and otherwise a copy with a header of
// its own; r is not modified.
//
// Cookie fields that do not read like those of a browser are left as they are, with all their
// cookies: they have a control or an open quote, so that handlers could cut them elsewhere than the
// cache does, or are too many or too long.
func WithoutIgnoredCookies(r *http.Request, p *policy.Policy) *http.Request {
	if !ignoresCookies(p) {
		return r
	}
	return withoutIgnored(p, r)
}

func withoutIgnored(p *policy.Policy, r *http.Request) *http.Request {
	lines := r.Header["Cookie"]
	if len(lines) == 0 {
		return r
	}
	kept, dropped := keepCookies(lines, func(name string) bool { return ignoresCookie(p, name) })
	if !dropped {
		return r
	}
	return withCookies(r, kept)
}

// withCookies returns a copy of r with a header of its own, which has these lines of Cookie.
func withCookies(r *http.Request, kept []string) *http.Request {
	seen := new(http.Request)
	*seen = *r
	seen.Header = maps.Clone(r.Header)
	if len(kept) == 0 {
		delete(seen.Header, "Cookie")
	} else {
		seen.Header["Cookie"] = kept
	}
	return seen
}

// IsCookieName reports whether a cookie can have the name (RFC 6265 section 4.1.1).
func IsCookieName(name string) bool { return isToken(name) }

// TakeCookie returns r without the cookies of a name, and the value of the one that there is.
// Without such a cookie it returns r itself, and allocates nothing; otherwise a copy, and r is not
// modified. Of two cookies of the name, neither has a value. From a field that could be cut in more
// than one way, as WithoutIgnoredCookies has it, no cookie is taken, and a value is found all the
// same; in one that is too long, or has too many cookies, none is.
func TakeCookie(r *http.Request, name string) (without *http.Request, value string) {
	lines := r.Header["Cookie"]
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, name) }) {
		return r, ""
	}
	value = cookieValue(lines, name)
	kept, dropped := keepCookies(lines, func(n string) bool { return n == name })
	if !dropped {
		return r, value
	}
	return withCookies(r, kept), value
}

// cookieValue returns the value of the only cookie that has a name, or "".
func cookieValue(lines []string, name string) (value string) {
	count, size, found := 0, 0, false
	for _, line := range lines {
		if size += len(line); size > maxCookieBytes {
			return ""
		}
		for pair := range strings.SplitSeq(line, ";") {
			if count++; count > maxCookies {
				return ""
			}
			n, v, _ := strings.Cut(trimOWS(pair), "=")
			if trimOWS(n) != name {
				continue
			}
			if found {
				return ""
			}
			value, found = trimOWS(v), true
		}
	}
	return value
}

// keepCookies returns the lines of a Cookie field without the cookies that ignored reports. dropped
// is false when there are none, or when the field cannot be read; then kept means nothing.
func keepCookies(lines []string, ignored func(name string) bool) (kept []string, dropped bool) {
	count, size := 0, 0
	for _, line := range lines {
		if size += len(line); size > maxCookieBytes {
			return nil, false
		}
		var left []string
		for pair := range strings.SplitSeq(line, ";") {
			if pair = trimOWS(pair); pair == "" {
				continue
			}
			if count++; count > maxCookies || !plainCookie(pair) {
				return nil, false
			}
			if ignored(cookieName(pair)) {
				dropped = true
			} else {
				left = append(left, pair)
			}
		}
		if len(left) > 0 {
			kept = append(kept, strings.Join(left, "; "))
		}
	}
	return kept, dropped
}

func cookieName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return trimOWS(name)
}

// ignoresCookie reports whether a cookie is ignored. One without a name never is, and neither is
// one that makes its request pass.
func ignoresCookie(p *policy.Policy, name string) bool {
	return isToken(name) && !listed(p.PassCookies, name) &&
		(listed(p.IgnoreCookies, name) || p.KeepCookies != nil && !listed(p.KeepCookies, name))
}

func ignoresCookies(p *policy.Policy) bool {
	return len(p.IgnoreCookies) > 0 || p.KeepCookies != nil
}

// SetsIgnoredCookie returns the name of a cookie that a response with the header h sets and that p
// ignores, or "".
func SetsIgnoredCookie(h http.Header, p *policy.Policy) string {
	if !ignoresCookies(p) {
		return ""
	}
	for _, line := range h["Set-Cookie"] {
		if name := cookieName(line); ignoresCookie(p, name) {
			return name
		}
	}
	return ""
}

// plainCookie reports whether every handler takes what stands between two ";" for one cookie: it
// has no controls, and no quote is open at its end. Commas, spaces, braces and quotes in pairs,
// which RFC 6265 section 4.1.1 forbids, are common in the values of consent banners.
func plainCookie(pair string) bool {
	open, quoted, escaped := false, false, false
	for i := range len(pair) {
		switch c := pair[i]; {
		case c < ' ' && c != '\t' || c == 0x7f:
			return false
		case c == '"':
			open, quoted = !open, true
		case c == '\\':
			escaped = true
		}
	}
	return !open && !(quoted && escaped)
}

// passesByCookie reports whether a request has a cookie that p.PassCookies lists, wherever a
// handler could find one: see cookieNames.
func passesByCookie(p *policy.Policy, h http.Header) bool {
	if len(p.PassCookies) == 0 {
		return false
	}
	for _, line := range h["Cookie"] {
		for _, name := range cookieNames(line) {
			if listed(p.PassCookies, name) {
				return true
			}
		}
	}
	return false
}

// cookieNames are the names of all cookies that some parser finds in a line of a Cookie field, and
// where they begin: behind ";" and ",", within quotes, and behind white space, as Python's
// http.cookies does. Python's str.strip takes two bytes more for white space. A name too many costs
// nothing where it makes a request pass.
func cookieNames(line string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for end := 0; end < len(line); end++ {
			begin := end
			for end < len(line) && !endsCookie(line[end]) {
				end++
			}
			name, _, _ := strings.Cut(line[begin:end], "=")
			if name != "" && !yield(begin, name) {
				return
			}
			if bare := stripped(name); bare != name && bare != "" && !yield(begin+1, bare) {
				return
			}
		}
	}
}

func endsCookie(c byte) bool { return c <= ' ' || c == ';' || c == ',' || c == '"' || c == 0x7f }

// stripped returns a name without what Latin-1 has for white space beside the controls.
func stripped(name string) string {
	isSpace := func(c byte) bool { return c == 0x85 || c == 0xa0 }
	for name != "" && isSpace(name[0]) {
		name = name[1:]
	}
	for name != "" && isSpace(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	return name
}

// hidesCookie reports whether some parsers may find other values of the named cookie in the lines
// than what stands between two ";" behind its name: none, where another cookie's value has it, or
// quotes or controls cut the lines elsewhere.
func hidesCookie(lines []string, name string) bool {
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, name) }) {
		return false
	}
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			if pair = trimOWS(pair); !plainCookie(pair) {
				return true
			}
			for at, found := range cookieNames(pair) {
				if at > 0 && found == name {
					return true
				}
			}
		}
	}
	return false
}
