package rules

import (
	"net/http"
	"slices"
	"strings"
)

// Canonical returns h with its field names in canonical form. It is h itself when they are so
// already, and otherwise a new header that shares the values. A handler may write to the map
// directly (h["set-cookie"], h["ETag"]), and net/http sends such a name as it is: a reader of a
// response must not overlook it.
func Canonical(h http.Header) http.Header {
	for name := range h {
		if !usual(name) && http.CanonicalHeaderKey(name) != name {
			return recased(h)
		}
	}
	return h
}

func recased(h http.Header) http.Header {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names) // two spellings of one field: always in the same order
	c := make(http.Header, len(h))
	for _, name := range names {
		key := http.CanonicalHeaderKey(name)
		c[key] = append(c[key], h[name]...)
	}
	return c
}

// plain reports whether the names of h are in canonical form, and none of its fields is one that is
// never stored.
func plain(h http.Header) bool {
	for name := range h {
		switch name {
		case "Content-Type", "Content-Length", "Cache-Control", "Date", "Etag", "Last-Modified",
			"Vary", "Accept-Ranges":
			continue // and so need not be looked at
		}
		if slices.Contains(hopByHop, name) || strings.HasPrefix(name, http.TrailerPrefix) ||
			http.CanonicalHeaderKey(name) != name {
			return false
		}
	}
	return true
}

// IsOwnField reports whether name is one that an app may give a field of its own: it is a token
// (RFC 9110 section 5.1), and neither HTTP nor this package has a meaning for it, but that it may
// tell who the user is.
func IsOwnField(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return isToken(name) && !usual(name) && !slices.Contains(hopByHop, name) &&
		scan(http.Header{name: {"x"}})&^sawIdentity == 0
}

// hopByHop are the fields that concern one connection, or that a proxy on the way acts on: they are
// never stored (RFC 9111 section 3.1, RFC 9110 section 7.6.1). Trailer is one of them because an
// entry knows its trailers itself. An explanation is for who asked for it.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Connection",
	ExplainField,
}

// ExplainField is the response field that explains a decision to a request with a debug token, in
// canonical form.
const ExplainField = "Freshet-Explain"

// HopByHop returns the names of the fields of h that must not be stored: those that concern one
// connection only, whether the protocol or h's own Connection field says so. Nil when there are
// none.
func HopByHop(h http.Header) []string {
	var names []string
	for _, name := range hopByHop {
		if _, ok := h[name]; ok {
			names = append(names, name)
		}
	}
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			name := http.CanonicalHeaderKey(trimOWS(option))
			if _, ok := h[name]; ok && !slices.Contains(hopByHop, name) {
				names = append(names, name)
			}
		}
	}
	return uniqueNames(names)
}

// uniqueNames sorts names and drops duplicates, in place.
func uniqueNames(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// Storable returns a new header with the fields of h, their names in canonical form, except those
// that strip names (in canonical form) and the trailers that net/http keeps among them under
// [http.TrailerPrefix]. The values are shared with h, and clipped, so that an append to one side is
// not seen on the other.
func Storable(h http.Header, strip []string) http.Header {
	h = Canonical(h)
	s := make(http.Header, len(h))
	for name, values := range h {
		if !strings.HasPrefix(name, http.TrailerPrefix) {
			s[name] = slices.Clip(values)
		}
	}
	for _, name := range strip {
		delete(s, name)
	}
	return s
}

// trimOWS removes the optional whitespace around a list member (RFC 9110 section 5.6.3).
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
