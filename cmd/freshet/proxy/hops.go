package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// endToEnd returns r without what is not meant to go through: the fields that Connection names (RFC
// 9110 section 7.6.1), those that apps could take for others (see ambiguous) and, unless they are
// trusted, the forwarding ones. The upstream does not get to see them, so the cache must not
// either: a response that was made without a field would be stored for requests with it.
func (p *Proxy) endToEnd(r *http.Request) *http.Request {
	h := r.Header
	drop := func(name string) {
		if h[name] == nil {
			return
		}
		if len(h) == len(r.Header) { // the first: until now h is the client's
			h = h.Clone()
		}
		delete(h, name)
	}
	for _, line := range r.Header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name {
			// not for the cache to see anyway
			case "Close", "Keep-Alive", "Upgrade", "Te", "Connection":
			default:
				drop(name)
				if r.Header["Upgrade"] == nil {
					drop("Connection") // it has said what it had to say
				}
			}
		}
	}
	if asksForHTTP(r.Header) {
		for _, name := range [...]string{"Upgrade", "Connection", "Http2-Settings"} {
			drop(name)
		}
	}
	if !p.options.TrustForwarded {
		for _, name := range forwarding {
			drop(name)
		}
	}
	for _, name := range p.ambiguous(r.Header) {
		drop(name)
	}
	if len(h) == len(r.Header) {
		return r
	}
	out := new(http.Request)
	*out = *r
	out.Header = h
	return out
}

// climbs reports whether a path, unescaped, leads above where it begins, the root or the path of
// the upstream's URL, on a server that resolves dot segments, merges slashes, takes a backslash for
// one, or cuts parameters off segments.
func climbs(path string) bool {
	depth := 0
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool {
		return c == '/' || c == '\\'
	}) {
		switch segment, _, _ = strings.Cut(segment, ";"); segment {
		case ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// asksForHTTP reports whether a request asks for another version of HTTP on its connection: the
// requests that follow would reach the upstream by a connection in which the proxy sees nothing any
// more, with whatever forwarding fields their client likes. A proxy answers in the version that it
// has (RFC 9113 section 3.1).
func asksForHTTP(h http.Header) bool {
	for _, line := range h["Upgrade"] {
		for protocol := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/")
			switch strings.ToLower(name) {
			case "h2c", "h2", "http", "tls":
				return true
			}
		}
	}
	return false
}

// forwarding lists the fields that the proxy sets itself, and Forwarded, which they replace.
var forwarding = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
	"X-Forwarded-Proto"}

// maxForwards returns how much further a TRACE or OPTIONS may go (RFC 9110 section 7.6.2); false:
// as far as it wants.
func maxForwards(r *http.Request) (uint64, bool) {
	if r.Method != http.MethodTrace && r.Method != http.MethodOptions ||
		len(r.Header["Max-Forwards"]) != 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(r.Header["Max-Forwards"][0], 10, 64)
	return n, err == nil
}

func atLastHop(r *http.Request) bool {
	n, counted := maxForwards(r)
	return counted && n == 0
}

// countHop counts down the Max-Forwards of a request that goes on.
func countHop(out *http.Request) {
	if n, counted := maxForwards(out); counted && n > 0 {
		out.Header.Set("Max-Forwards", strconv.FormatUint(n-1, 10))
	}
}

// answerLastHop answers a TRACE or OPTIONS that may go no further. TRACE tells which way the request
// came, and no more: a proxy in front may have added what its client must not see, such as a secret
// by which the origin knows it (RFC 9110 section 9.3.8).
func answerLastHop(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "message/http")
	fmt.Fprintf(w, "TRACE %s %s\r\nHost: %s\r\n", r.RequestURI, r.Proto, r.Host)
	way := http.Header{"Via": r.Header["Via"], "Max-Forwards": r.Header["Max-Forwards"]}
	way.Write(w)
	io.WriteString(w, "\r\n")
}
