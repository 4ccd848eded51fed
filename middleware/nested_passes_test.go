package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// What passes the policy of a whole app, because of a cookie that its PassCookies lists or because its key would be too
// long, is not stored by a route's own policy inside for those who do not pass.
func TestWhatPassesAnAppIsNotStoredByItsRoute(t *testing.T) {
	for name, s := range map[string]struct {
		app          policy.Policy
		says         string
		field, value string
	}{
		"a cookie": {policy.Policy{TTL: time.Minute, PassCookies: []string{"login"}}, "public, max-age=60", "Cookie", "login=alice"},
		"too long a tenant": {policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}}, "",
			"X-Tenant", strings.Repeat("a", 70<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return &s.app }})
			h := c.Handler(c.With(policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{DropParams: []string{"utm_*"}}})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if s.says != "" {
					w.Header().Set("Cache-Control", s.says)
				}
				io.WriteString(w, "for "+r.Header.Get(s.field))
			})))
			get(h, "/?utm_source=a", s.field, s.value)
			want(t, "another's page", body(get(h, "/?utm_source=b")), "for ")
		})
	}
}
