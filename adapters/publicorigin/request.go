package publicorigin

import (
	"net/http"
	"strings"
)

// Fields by which proxies, and clients that forge them, tell an app its host and port, and its
// scheme.
var (
	hostFields = []string{
		"Host", "Disguised-Host", "Fly-Forwarded-Port", "X-Envoy-Original-Host", "X-Forwarded-Host",
		"X-Forwarded-Hosts", "X-Forwarded-Port", "X-Forwarded-Server", "X-Host",
		"X-Http-Host-Override", "X-Original-Host",
	}
	schemeFields = []string{
		"Cf-Visitor", "Cloudfront-Forwarded-Proto", "Fastly-Ssl", "Fly-Forwarded-Proto",
		"Fly-Forwarded-Ssl", "Front-End-Https", "Https-From-Lb", "Scheme", "Ssl-Offloaded",
		"X-Appengine-Https", "X-Appservice-Proto", "X-Arr-Ssl", "X-Forwarded-Https",
		"X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Ssl",
		"X-Original-Proto", "X-Original-Scheme", "X-Proto", "X-Scheme", "X-Url-Scheme",
	}
)

// of returns r as a request for the origin.
func (o Origin) of(r *http.Request) *http.Request {
	inside := *r
	u := *r.URL
	inside.URL, inside.Header = &u, r.Header.Clone()
	if o.Host != "" {
		inside.Host, u.Host, u.Scheme = o.Host, "", ""
		inside.RequestURI = originForm(r.RequestURI)
		remove(inside.Header, hostFields)
	}
	if o.Scheme != "" {
		remove(inside.Header, schemeFields)
		if u.Scheme != "" {
			u.Scheme = o.Scheme
		}
		if (r.TLS != nil) != (o.Scheme == "https") {
			inside.Header["X-Forwarded-Proto"] = []string{o.Scheme}
		}
	}
	if lines := inside.Header["Forwarded"]; lines != nil {
		if kept := o.forwarded(lines); kept != "" {
			inside.Header["Forwarded"] = []string{kept}
		} else {
			delete(inside.Header, "Forwarded")
		}
	}
	return &inside
}

// remove removes fields.
func remove(h http.Header, names []string) {
	for _, name := range names {
		delete(h, name)
	}
}

// originForm cuts scheme and authority from a target in absolute-form (RFC 9112 section 3.2.2).
func originForm(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	scheme, rest, found := strings.Cut(target, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return target
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		if rest = rest[i:]; rest[0] == '?' {
			rest = "/" + rest
		}
		return rest
	}
	return "/"
}

// forwarded returns a Forwarded field (RFC 7239) without what the origin stands for. One that
// cannot be read for certain is left out altogether.
func (o Origin) forwarded(lines []string) string {
	var elements []string
	all := strings.Join(lines, ",")
	if strings.Count(all, `"`)%2 != 0 || strings.Contains(all, `\`) {
		return ""
	}
	for _, element := range splitOutsideQuotes(all, ',') {
		var pairs []string
		for _, pair := range splitOutsideQuotes(element, ';') {
			pair = strings.Trim(pair, " \t")
			name, _, _ := strings.Cut(pair, "=")
			name = strings.ToLower(strings.Trim(name, " \t"))
			if pair == "" || name == "host" && o.Host != "" || name == "proto" && o.Scheme != "" {
				continue
			}
			if name != "for" && name != "by" && name != "host" && name != "proto" {
				return "" // nobody knows what an app makes of it
			}
			pairs = append(pairs, pair)
		}
		if len(pairs) > 0 {
			elements = append(elements, strings.Join(pairs, ";"))
		}
	}
	return strings.Join(elements, ", ")
}

func splitOutsideQuotes(s string, separator byte) (parts []string) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
