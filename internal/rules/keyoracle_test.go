package rules

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/policy"
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
			if strings.HasPrefix(x.Name, "cookie:") {
				v = strings.NewReplacer(`\,`, "<line>", `\-`, "<odd>", `\*`, "<all>").Replace(v)
			}
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

// partsOf tells a request's parts for a policy with neither query options nor Replace. The request
// has a request line in origin-form or in absolute-form; Forwarded, which is keyed in part, it has
// not.
func partsOf(r *http.Request, p *policy.Policy) parts {
	x := parts{scheme: "http", path: r.RequestURI}
	if r.TLS != nil {
		x.scheme = "https"
	}
	x.host = oneHost(x.scheme, r.Host)
	if m := absolute.FindStringSubmatch(r.RequestURI); m != nil {
		x.path = m[1]
	}
	if i := strings.Index(x.path, "?"); i >= 0 {
		x.path, x.query = x.path[:i], x.path[i:]
	}

	var extras, forwarding []extra
	if r.Host != x.host || !ordinary.MatchString(r.Host) {
		extras = append(extras, extra{"host", []string{r.Host}})
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		before := strings.TrimSuffix(r.RequestURI, x.path+x.query)
		if x.path != "" {
			before += "/"
		}
		extras = append(extras, extra{"target", []string{before}})
	}
	if values := r.Header["Host"]; len(values) > 0 {
		extras = append(extras, extra{"Host", values})
	}
	u := r.URL
	if u.Scheme != "" && u.Scheme != x.scheme || u.Host != "" && u.Host != r.Host ||
		u.Opaque != "" {
		extras = append(extras, extra{"url", []string{u.Scheme, u.Host, u.Opaque}})
	}
	if u.User != nil {
		extras = append(extras, extra{"user", []string{u.User.String()}})
	}
	if plain, err := url.PathUnescape(x.path); x.path+u.Path == "" || err != nil ||
		plain != u.Path || u.RawPath != "" && u.RawPath != x.path {
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
		pattern := regexp.MustCompile(`(?s)^[ \t]*` + name + `([ \t]*)(=.*)?$`)
		before := ""
		if lines := r.Header["Cookie"]; foundElsewhere(lines, name) {
			for _, line := range lines {
				c.Values = append(c.Values, "<all>"+line)
			}
			extras = append(extras, c)
			continue
		}
		for i, line := range r.Header["Cookie"] {
			if i > 0 {
				before += "<line>"
			}
			for pair := range strings.SplitSeq(line, ";") {
				m := pattern.FindStringSubmatch(pair)
				switch {
				case m == nil:
					continue
				case m[1] == "" && m[2] != "":
					c.Values = append(c.Values, before+m[2][1:])
				default:
					c.Values = append(c.Values, before+"<odd>"+m[1]+m[2])
				}
				before = ""
			}
		}
		if c.Values != nil {
			extras = append(extras, c)
		}
	}
	x.extras = fmt.Sprintf("%q", extras)
	if x.path == "" {
		x.path = "/"
	}
	return x
}

var (
	absolute  = regexp.MustCompile(`(?is)^https?://[^/?]*(.*)$`)
	ordinary  = regexp.MustCompile(`^[-._~!$&'()*+,;:\[\]=%0-9a-z]*$`)
	authority = regexp.MustCompile(`(?s)^([^:]*|.*\]):([0-9]*)$`)
)

// oneHost is the canonical form of a host.
func oneHost(scheme, host string) string {
	host = asciiLower(host)
	port := ""
	if m := authority.FindStringSubmatch(host); m != nil {
		host = m[1]
		if m[2] != "" {
			port = ":" + strings.TrimLeft(m[2][:len(m[2])-1], "0") + m[2][len(m[2])-1:]
		}
		if port == map[string]string{"http": ":80", "https": ":443"}[scheme] {
			port = ""
		}
	}
	if !strings.Contains(host, ":") && strings.Trim(host, ".") != "" {
		host = strings.TrimRight(host, ".")
	}
	return host + port
}

// sentFrom tells, from a key's parts alone, the host and the target that the client sent.
func sentFrom(p parts) (host, target string) {
	host, target = p.host, p.path+p.query
	for _, m := range extraValue.FindAllStringSubmatch(p.extras, -1) {
		value, _ := strconv.Unquote(m[2])
		if m[1] == "host" {
			host = value
		} else {
			if strings.HasSuffix(value, "/") {
				value = value[:len(value)-1] + p.path
			}
			target = value + p.query
		}
	}
	return host, target
}

var extraValue = regexp.MustCompile(`\{"(host|target)" \[("(?:[^"\\]|\\.)*")\]\}`)

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

// foundElsewhere reports whether lines that have a cookie's name have it where it is no plain
// cookie, or have quotes or controls that are not plain.
func foundElsewhere(lines []string, name string) bool {
	if !strings.Contains(strings.Join(lines, "\n"), name) {
		return false
	}
	inside := regexp.MustCompile(`[\x00-\x20,"\x7f]` + regexp.QuoteMeta(name) + `([\x00-\x20,"\x7f=]|$)`)
	for pair := range strings.SplitSeq(strings.Join(lines, ";"), ";") {
		if pair = strings.Trim(pair, " \t"); !plainCookie(pair) || inside.MatchString(pair) {
			return true
		}
		if strings.Contains(pair, "\x85") || strings.Contains(pair, "\xa0") {
			for at, found := range cookieNames(pair) {
				if at > 0 && found == name {
					return true
				}
			}
		}
	}
	return false
}
