package middleware_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// What an inner mount tells apart by request fields, cookies or credentials, an outer one must not
// answer from what it stored for a request that has none of them.
func TestAnOuterMountDoesNotAnswerForAnInnerOne(t *testing.T) {
	byTenant := policy.KeyOptions{Headers: []string{"X-Tenant"}}
	for _, s := range []struct {
		name         string
		outer, inner policy.Policy
		says         string
		first, then  []string
	}{
		{"a field of the inner key", policy.Policy{}, policy.Policy{TTL: time.Minute,
			Key: byTenant}, "", nil,
			[]string{"X-Tenant", "a"}},
		{"a user in the inner key", policy.Policy{},
			policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-User"}}},
			"max-age=60", nil, []string{"X-User", "a"}},
		{"a cookie of the inner key", policy.Policy{},
			policy.Policy{TTL: time.Minute, Shared: true,
				Key: policy.KeyOptions{Cookies: []string{"tier"}}}, "", nil,
			[]string{"Cookie", "tier=a"}},
		{"a cookie that passes inside", policy.Policy{},
			policy.Policy{TTL: time.Minute, PassCookies: []string{"login"}}, "public, max-age=60",
			nil,
			[]string{"Cookie", "login=a"}},
		{"credentials of the outer policy's own",
			policy.Policy{Credentials: func(*http.Request) bool { return false }},
			policy.Policy{TTL: time.Minute}, "", []string{"Cookie", "a=1"}, []string{"Cookie",
				"a=2"}},
		{"... asked without first", policy.Policy{Credentials: func(*http.Request) bool {
			return false
		}},
			policy.Policy{TTL: time.Minute}, "", nil, []string{"Cookie", "a=2"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
				return &s.outer
			}})
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				if s.says != "" {
					w.Header().Set("Cache-Control", s.says)
				}
				io.WriteString(w, "for "+r.Header.Get("X-Tenant")+r.Header.Get("X-User")+
					r.Header.Get("Cookie"))
			}}
			h := c.Handler(c.With(s.inner)(o))
			for range 2 {
				for _, who := range [][]string{s.first, s.then} {
					name := ""
					if who != nil {
						name = who[1]
					}
					want(t, "the page", body(get(h, "/", who...)), "for "+name)
				}
			}
		})
	}
}
