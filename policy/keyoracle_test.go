package policy

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// parts is what a key must tell apart. readKey gets it back from the key's text, partsOf from the
// request; neither uses what makes keys. Where both agree for every request, the key is injective.
type parts struct {
	scheme, host, path string
	query              string // with its "?"; empty without
	extras             string // as Go syntax: a list of names with lists of values
}

type extra struct {
	Name   string
	Values []string
}

func readKey(key string) (p parts, err error) {
	fail := func(what string) (parts, error) { return parts{}, fmt.Errorf("key %q: %s", key, what) }
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return fail("has a byte that is not printable ASCII")
		}
	}
	words := strings.Split(key, " ")
	if len(words) < 2 || words[0] != "GET" {
		return fail("has no method")
	}
	scheme, rest, ok := strings.Cut(words[1], "://")
	if !ok {
		return fail("has no scheme")
	}
	end := strings.IndexAny(rest, "/?")
	if i := strings.Index(rest, `\-`); i >= 0 && (end < 0 || i < end) {
		end = i
		rest = rest[:i] + rest[i+2:]
	}
	if end < 0 {
		return fail("has no path")
	}
	p.scheme, p.path = scheme, rest[end:]
	if i := strings.IndexByte(p.path, '?'); i >= 0 {
		p.path, p.query = p.path[:i], p.path[i:]
	}
	if p.host, err = unescaped(rest[:end]); err != nil {
		return fail(err.Error())
	}
	if p.path, err = unescaped(p.path); err != nil {
		return fail(err.Error())
	}
	if p.query, err = unescaped(p.query); err != nil {
		return fail(err.Error())
	}
	var extras []extra
	for _, w := range words[2:] {
		var x extra
		for i, v := range strings.Split(w, "=") {
			if v, err = unescaped(v); err != nil {
				return fail(err.Error())
			}
			if x.Name == "query" { // itself escaped as a query
				if v, err = unescaped(v); err != nil {
					return fail(err.Error())
				}
			}
			if i == 0 {
				x.Name = v
			} else {
				x.Values = append(x.Values, v)
			}
		}
		extras = append(extras, x)
	}
	p.extras = fmt.Sprintf("%q", extras)
	return p, nil
}

func unescaped(s string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if len(after) < 2 {
			return "", fmt.Errorf("%q ends in an escape", s)
		}
		raw, err := hex.DecodeString(after[:2])
		if err != nil {
			return "", err
		}
		b.Write(raw)
		s = after[2:]
	}
}

// partsOf tells a request's parts for a policy with neither query options nor Replace. The request has a
// request line in origin-form; Forwarded, which is keyed in part, it has not.
func partsOf(r *http.Request, p *Policy) parts {
	x := parts{scheme: "http", host: r.Host}
	port := ":80"
	if r.TLS != nil {
		x.scheme, port = "https", ":443"
	}
	x.host = asciiLower(x.host)
	for _, end := range []string{port, ":"} {
		name := strings.TrimSuffix(x.host, end)
		if name != x.host && (strings.HasSuffix(name, "]") || !strings.Contains(name, ":")) {
			x.host = name
			break
		}
	}
	x.path = r.RequestURI
	if i := strings.Index(x.path, "?"); i >= 0 {
		x.path, x.query = x.path[:i], x.path[i:]
	}

	var extras, forwarding []extra
	u := r.URL
	if u.Scheme != "" && u.Scheme != x.scheme || u.Host != "" && u.Host != r.Host || u.Opaque != "" {
		extras = append(extras, extra{"url", []string{u.Scheme, u.Host, u.Opaque}})
	}
	if u.User != nil {
		extras = append(extras, extra{"user", []string{u.User.String()}})
	}
	if plain, err := url.PathUnescape(x.path); err != nil || plain != u.Path || u.RawPath != "" && u.RawPath != x.path {
		extras = append(extras, extra{"path", []string{u.Path, u.RawPath}})
	}
	rawQuery, force := strings.TrimPrefix(x.query, "?"), x.query == "?"
	if u.RawQuery != rawQuery || u.ForceQuery != force {
		query := u.RawQuery
		if query != "" || u.ForceQuery {
			query = "?" + query
		}
		extras = append(extras, extra{"query", []string{query}})
	}
	for name, values := range r.Header {
		if len(values) > 0 && slices.Contains(forwardingFields[:], name) {
			forwarding = append(forwarding, extra{name, values})
		}
	}
	if p.Key.IgnoreForwarded {
		forwarding = nil
	}
	slices.SortFunc(forwarding, func(a, b extra) int { return cmp.Compare(a.Name, b.Name) })
	extras = append(extras, forwarding...)
	for _, name := range p.Key.Headers {
		if values := r.Header[name]; len(values) > 0 {
			extras = append(extras, extra{"header:" + name, values})
		}
	}
	for _, name := range p.Key.Cookies {
		c := extra{Name: "cookie:" + name}
		for pair := range strings.SplitSeq(strings.Join(r.Header["Cookie"], ";"), ";") {
			n, v, _ := strings.Cut(pair, "=")
			if strings.Trim(n, " \t") == name {
				c.Values = append(c.Values, strings.Trim(v, " \t"))
			}
		}
		if c.Values != nil {
			extras = append(extras, c)
		}
	}
	x.extras = fmt.Sprintf("%q", extras)
	return x
}

// asciiLower leaves bytes that are no UTF-8 as they are, as strings.ToLower does not.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
