package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A mount inside another one tells tenants apart, as the outer one does not. What the inner one answers is not the outer
// one's to store, also where a time limit between the two hides the writer and the URL or the host is rewritten.
func TestANestedMountBehindATimeLimitAndARewriter(t *testing.T) {
	for name, rewrite := range map[string]func(r *http.Request){
		"the query": func(r *http.Request) { r.URL.RawQuery = "" },
		"the path":  func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/profile", "" },
		"the host":  func(r *http.Request) { r.Host = "inner.example" },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.Policy = func(*http.Request) *policy.Policy { return &minute }
			inner := c.With(policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "for ", r.Header.Get("X-Tenant")) }))
			rewriter := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r = r.Clone(r.Context())
				rewrite(r)
				inner.ServeHTTP(w, r)
			})
			h := c.Guard(c.Handler(http.TimeoutHandler(rewriter, time.Minute, "late")))
			for _, tenant := range []string{"a", "b", "a"} {
				want(t, "page", body(get(h, "/u/alice?utm_source=mail", "X-Tenant", tenant)), "for "+tenant)
			}
		})
	}
}
