package routes

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// pattern is which targets a rule is for: a host and a path, with one * in each at most.
type pattern struct {
	text string // as written
	host host
	path glob
}

// host is a host name in lower case, without the dot at its end. Empty: every host.
type host struct {
	name string // after the "*." of a pattern for all below it, with the dot
	port string // empty: every port
	sub  bool   // all below name
}

// glob is a text with one * at most, which stands for any text, with slashes or empty.
type glob struct {
	begin, end string
	star       bool
}

func readPattern(text string) (p pattern, err error) {
	p.text = text
	name, path := "", text
	switch i := strings.IndexByte(text, '/'); {
	case i > 0:
		name, path = text[:i], text[i:]
	case i < 0 && strings.HasPrefix(text, "*"):
	case i < 0:
		return p,
			errors.New(
				`a pattern begins with / or with *, as in /api/* and *.css, or with a host and /, as in example.com/*`)
	}
	if p.host, err = readHost(name); err != nil {
		return p, err
	}
	p.path, err = readGlob(path)
	return p, err
}

func readHost(text string) (h host, err error) {
	if text == "" {
		return h, nil
	}
	h.name = strings.ToLower(text)
	if i := strings.LastIndexByte(h.name, ':'); i >= 0 && !strings.HasSuffix(h.name, "]") {
		h.name, h.port = h.name[:i], h.name[i+1:]
		if h.port == "" || strings.Trim(h.port, "0123456789") != "" {
			return h, fmt.Errorf("%q is no host: allowed is a name, with a port or not, as in "+
				"example.com:8080", text)
		}
	}
	h.name = strings.TrimSuffix(h.name, ".")
	if strings.HasPrefix(h.name, "*.") {
		h.name, h.sub = h.name[1:], true
	}
	if strings.Trim(h.name, "abcdefghijklmnopqrstuvwxyz0123456789-._[]:") != "" ||
		strings.Trim(h.name, ".") == "" {
		return h, fmt.Errorf("%q is no host: allowed are letters, digits, hyphens and dots, with "+
			"*. before them for all "+
			"hosts below one; a pattern for paths of every host begins with /, as in /*/feed/",
			text)
	}
	return h, nil
}

// readGlob reads a path as browsers write it, with escapes: %2A is a star that stands for itself,
// and %3D an =.
func readGlob(text string) (g glob, err error) {
	begin, end, star := strings.Cut(text, "*")
	if strings.Contains(end, "*") {
		return g, fmt.Errorf("%q has more than one *: one is allowed, which stands for any text",
			text)
	}
	if strings.ContainsAny(text, "?#") {
		return g, fmt.Errorf("%q has a query, which rules do not look at: end the pattern before "+
			"it; keep-query and drop-query say which "+
			"parameters count", text)
	}
	for _, part := range []string{begin, end} {
		if _, err := url.PathUnescape(part); err != nil {
			return g, fmt.Errorf("%q: %w: %% is written %%25", text, err)
		}
	}
	g.begin, _ = url.PathUnescape(begin)
	g.end, _ = url.PathUnescape(end)
	g.star = star
	whole := g.begin + "x" + g.end
	if !star {
		whole = g.begin
	}
	if !strings.HasPrefix(whole, "/") {
		whole = "/" + whole
	}
	if !plain(whole, "") {
		return g, fmt.Errorf("%q is no path in its plain form, and rules with a lifetime are for "+
			"those only: "+
			"allowed is one without //, /./, /../, a backslash, a semicolon and control characters",
			text)
	}
	return g, nil
}

// matches reports whether the pattern is for a path.
func (g *glob) matches(path string) bool {
	if !g.star {
		return path == g.begin
	}
	return len(path) >= len(g.begin)+len(g.end) && strings.HasPrefix(path, g.begin) &&
		strings.HasSuffix(path, g.end)
}

// matchesFolded is matches, whatever the case of ASCII letters: there are servers to which /ADMIN
// is /admin.
func (g *glob) matchesFolded(path string) bool {
	if !g.star {
		return equalFold(path, g.begin)
	}
	return len(path) >= len(g.begin)+len(g.end) && equalFold(path[:len(g.begin)], g.begin) &&
		equalFold(path[len(path)-len(g.end):], g.end)
}

// covers reports whether the pattern is for every path that another one is for.
func (g *glob) covers(other *glob, folded bool) bool {
	if !other.star {
		if folded {
			return g.matchesFolded(other.begin)
		}
		return g.matches(other.begin)
	}
	if !g.star || len(g.begin) > len(other.begin) || len(g.end) > len(other.end) {
		return false
	}
	begin, end := other.begin[:len(g.begin)], other.end[len(other.end)-len(g.end):]
	if folded {
		return equalFold(begin, g.begin) && equalFold(end, g.end)
	}
	return begin == g.begin && end == g.end
}

// matches reports whether the pattern is for a Host field as sent. A dot at the end of the name
// does not count, nor does a port that the pattern does not name.
func (h *host) matches(sent string) bool {
	if h.name == "" {
		return true
	}
	name, port := sent, ""
	if i := strings.LastIndexByte(sent, ':'); i >= 0 && !strings.HasSuffix(sent, "]") {
		name, port = sent[:i], sent[i+1:]
	}
	if name = strings.TrimSuffix(name, "."); h.port != "" && h.port != port {
		return false
	}
	if h.sub {
		return len(name) > len(h.name) && equalFold(name[len(name)-len(h.name):], h.name)
	}
	return equalFold(name, h.name)
}

// covers reports whether the pattern is for every host that another one is for.
func (h *host) covers(other *host) bool {
	switch {
	case h.name == "":
		return true
	case h.port != "" && h.port != other.port, !h.sub && other.sub:
		return false
	case h.sub && other.sub:
		return strings.HasSuffix(other.name, h.name)
	case h.sub:
		return len(other.name) > len(h.name) && strings.HasSuffix(other.name, h.name)
	}
	return h.name == other.name
}

// equalFold is strings.EqualFold for ASCII alone.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
