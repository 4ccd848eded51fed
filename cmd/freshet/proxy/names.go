package proxy

import (
	"net/http"
	"strings"
)

// ambiguous reports whether a field of the request header h must not go through for what its name could be
// taken for. CGI (RFC 3875 section 4.1.18) and its heirs write names in capitals with "_" for "-", and many
// for all that is neither letter nor digit.
func (p *Proxy) ambiguous(name string, h http.Header) bool {
	if name == "Proxy" {
		return true // HTTP_PROXY is where programs look for the proxy to go out by
	}
	if plain(name) {
		return false
	}
	if !p.options.AllowUnderscores {
		return true
	}
	meant := asCGI(name)
	for other := range h {
		if other != name && asCGI(other) == meant {
			return true
		}
	}
	for _, other := range vouched {
		if asCGI(other) == meant {
			return true
		}
	}
	return false
}

// plain reports whether a name has letters, digits and hyphens only.
func plain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		default:
			return false
		}
	}
	return true
}

// vouched lists the fields that the proxy sets, takes out or answers by: no other name may stand for them.
var vouched = [...]string{
	"Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Forwarded", "Host", "Proxy",
	"Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}

// asCGI is a name as such apps see it.
func asCGI(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z':
			return c - 'a' + 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			return c
		}
		return '_'
	}, name)
}
