package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A mount inside another one tells tenants apart, or lets users pass, as the outer one does not. What the inner one
// answers is not the outer one's to store, also where a time limit between the two hides the writer and the URL or the
// host is rewritten.
func TestANestedMountBehindATimeLimitAndARewriter(t *testing.T) {
	rewriters := map[string]func(r *http.Request){
		"the query": func(r *http.Request) { r.URL.RawQuery = "" },
		"the path":  func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/profile", "" },
		"the host":  func(r *http.Request) { r.Host = "inner.example" },
	}
	inside := map[string]policy.Policy{
		"X-Tenant": {TTL: time.Minute, Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
		"Cookie":   {TTL: time.Minute, PassCookies: []string{"login"}},
	}
	for name, rewrite := range rewriters {
		for field, p := range inside {
			t.Run(name+", "+field, func(t *testing.T) {
				c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return &minute }})
				page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "public, max-age=60")
					fmt.Fprint(w, "for ", r.Header.Get(field))
				})
				inner := c.With(p)(page)
				rewriter := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r = r.Clone(r.Context())
					rewrite(r)
					inner.ServeHTTP(w, r)
				})
				h := c.Guard(c.Handler(http.TimeoutHandler(rewriter, time.Minute, "late")))
				for _, who := range []string{"login=a", "login=b", "login=a"} {
					want(t, "page", body(get(h, "/u/alice?utm_source=mail", field, who)), "for "+who)
				}
			})
		}
	}
}
