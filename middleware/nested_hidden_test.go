package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A mount inside another one tells tenants apart, or lets users pass, as the outer one does not.
// What the inner one answers is not the outer one's to store, also where a time limit between the
// two hides the writer and the URL or the host is rewritten.
func TestANestedMountBehindATimeLimitAndARewriter(t *testing.T) {
	rewriters := map[string]func(r *http.Request){
		"the query": func(r *http.Request) { r.URL.RawQuery = "" },
		"the path":  func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/profile", "" },
		"the host":  func(r *http.Request) { r.Host = "inner.example" },
	}
	inside := map[string]struct {
		field, says  string
		outer, inner policy.Policy
	}{
		"tenants": {"X-Tenant", "max-age=60", minute,
			policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}}},
		"users that pass": {"Cookie", "public, max-age=60", minute,
			policy.Policy{PassCookies: []string{"login"}}},
		"users, in an app that is the same for all": {"Cookie", "max-age=60",
			policy.Policy{Shared: true}, minute},
		"users by a field of the app's": {"X-Member", "max-age=60", minute,
			policy.Policy{Credentials: func(r *http.Request) bool {
				return r.Header.Get("X-Member") != ""
			}}},
	}
	for name, rewrite := range rewriters {
		for who, s := range inside {
			t.Run(name+", "+who, func(t *testing.T) {
				c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
					return &s.outer
				}})
				page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", s.says)
					fmt.Fprint(w, "for ", r.Header.Get(s.field))
				})
				inner := c.With(s.inner)(page)
				rewriter := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r = r.Clone(r.Context())
					rewrite(r)
					inner.ServeHTTP(w, r)
				})
				h := c.Guard(c.Handler(http.TimeoutHandler(rewriter, time.Minute, "late")))
				for _, who := range []string{"login=a", "login=b", "login=a"} {
					want(t, "page", body(get(h, "/u/alice?utm_source=mail", s.field, who)),
						"for "+who)
				}
			})
		}
	}
}
