package routes_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings/routes"
)

// Whatever the rules say and whatever is asked for: there is a policy, the same one each time; and
// a path that is not plain gets nothing that a plain one would not.
func FuzzRules(f *testing.F) {
	for _, rules := range []string{
		"/api/* = 60s, stale 1h, tags api", "*.css = 7d\n/* type text/html|image/* = 1m, " +
			"override, shared",
		"GET|POST example.com:80/a%2A*b cookie s* = pass", "/x = off ; no\n  # yes",
		"/x = keep-cookies none,\n drop-query a b",
		"*.example.com/* = heuristic 1h, unsafe-private", "/é = 99999999999d",
	} {
		for _, target := range []string{"/api/..%2fx", "/x.css", "//x", "/%ff", "*", "/api/x"} {
			f.Add(rules, target, "example.com", "s=1; t")
		}
	}
	f.Fuzz(func(t *testing.T, rules, target, host, cookie string) {
		set, err := routes.Parse("f", "[rules]\n"+rules, routes.Options{})
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if line == "" {
					t.Errorf("an empty line in %q", err)
				}
			}
			return
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: "GET", URL: u, Host: host,
			Header: http.Header{"Cookie": {cookie}}}
		p := set.Policy(r)
		if p == nil || p != set.Policy(r) {
			t.Fatalf("%q: %v, and then another policy", target, p)
		}
		if strings.Contains(u.Path, "//") || strings.Contains(u.Path, "/../") ||
			strings.Contains(u.Path, ";") {
			if p.TTL > 0 || p.Shared || len(p.ByType) > 0 || p.IgnoreCookies != nil {
				t.Errorf("%q gets %+v", target, *p)
			}
		}
	})
}
