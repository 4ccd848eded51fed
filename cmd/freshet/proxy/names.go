package proxy

import (
	"net/http"
	"strings"
)

// ambiguous returns the names of a request's fields that must not go through for what they could be
// taken for. CGI (RFC 3875 section 4.1.18) and its heirs write names in capitals with "_" for "-",
// and many for all that is neither letter nor digit. It returns nil for most requests, and looks at
// each name once or twice, however many there are.
func (p *Proxy) ambiguous(h http.Header) (names []string) {
	var odd []string
	for name := range h {
		switch {
		case name == "Proxy":
			// HTTP_PROXY is where programs look for the proxy to go out by
			names = append(names, name)
		case !plain(name):
			odd = append(odd, name)
		}
	}
	if len(odd) == 0 || !p.options.AllowUnderscores {
		return append(names, odd...)
	}
	// how many fields have a name, as such apps see it
	bearers := make(map[string]int, len(h)+len(vouched))
	for name := range h {
		bearers[asCGI(name)]++
	}
	for _, name := range vouched {
		bearers[asCGI(name)]++
	}
	for _, name := range odd {
		if bearers[asCGI(name)] > 1 {
			names = append(names, name)
		}
	}
	return names
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

// vouched lists the fields that the proxy sets, takes out or answers by: no other name may stand
// for them.
var vouched = [...]string{
	"Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Forwarded", "Host",
	"Proxy",
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
