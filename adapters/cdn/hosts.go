package cdn

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// ErrForeignHost is the error of a URL of a host that is not ours: it was left out of the purge.
// errors.Is finds it.
var ErrForeignHost = errors.New("the host is none of Options.Hosts")

// hosts maps the app's hosts to public origins.
type hosts struct {
	origins map[string][]string // an empty list: the host itself
	others  []string            // of "*"; nil: unknown hosts are foreign
	any     bool                // there is a "*"
}

func readHosts(given map[string][]string) (hosts, error) {
	h := hosts{origins: map[string][]string{}}
	if len(given) == 0 {
		return h, errors.New("cdn: New: Options.Hosts is empty: map the host of the app, or " +
			"\"*\", to the origin that clients ask, such as https://www.example.com")
	}
	for host, origins := range given {
		var public []string
		for _, raw := range origins {
			u, err := readURL(raw)
			if err != nil {
				return h, fmt.Errorf("cdn: New: Options.Hosts[%q]: %w", host, err)
			}
			if target(u) != "/" || u.Fragment != "" {
				return h, fmt.Errorf("cdn: New: Options.Hosts[%q]: %q is more than an origin: "+
					"write scheme and host alone, such as https://www.example.com", host,
					withoutQuery(raw))
			}
			public = append(public, u.Scheme+"://"+u.Host)
			if _, given := h.origins[u.Host]; !given {
				h.origins[u.Host] = nil
			}
		}
		if host == "*" {
			h.others, h.any = public, true
			continue
		}
		if host == "" || strings.ContainsFunc(host, notOfHost) {
			return h, fmt.Errorf("cdn: New: Options.Hosts has the host %q: write one as clients "+
				"send it, such as app.internal:8080, or \"*\"", host)
		}
		h.origins[canonicalHost("http", canonicalHost("https", host))] = public
	}
	return h, nil
}

// of returns the public origins that stand for that of u.
func (h hosts) of(u *url.URL) ([]string, error) {
	public, known := h.origins[u.Host]
	if !known {
		if !h.any {
			return nil, fmt.Errorf("%w: %.100q is not among %s: name a URL of one of these, or map "+
				"the host there to the origin that clients ask", ErrForeignHost, u.Host, h.names())
		}
		public = h.others
	}
	if len(public) == 0 {
		return []string{u.Scheme + "://" + u.Host}, nil
	}
	return public, nil
}

// maxNamed bounds how many of the hosts an error names.
const maxNamed = 4

// names returns the known hosts, for people.
func (h hosts) names() string {
	all := slices.Sorted(maps.Keys(h.origins))
	if more := len(all) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:maxNamed], ", "), more)
	}
	return strings.Join(all, ", ")
}
