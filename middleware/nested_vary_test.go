package middleware_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// What the mounts around a route keep apart stands in the Vary of what is announced, or a cache in
// front would give one tenant's page to another.
func TestWhatAnOuterMountKeepsApartStandsInVary(t *testing.T) {
	tenant := []string{"X-Tenant", "a"}
	for _, s := range []struct {
		name  string
		outer policy.Policy
		inner policy.Policy
		asks  []string
		field string
	}{
		{"a field", policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
			policy.Policy{TTL: time.Minute}, tenant, "X-Tenant"},
		{"a field, on a route that is the same for all",
			policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
			policy.Policy{TTL: time.Minute, Shared: true}, tenant, "X-Tenant"},
		{"a field beside one of the route's own",
			policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
			policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{Headers: []string{"X-Kind"}}},
			tenant, "X-Tenant"},
		{"a cookie, on a route that is the same for all",
			policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{Cookies: []string{"tenant"}}},
			policy.Policy{TTL: time.Minute, Shared: true}, []string{"Cookie", "tenant=a"},
			"Cookie"},
		{"a field that the request does not have",
			policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
			policy.Policy{TTL: time.Minute}, nil, "X-Tenant"},
		{"a cookie that the request does not have",
			policy.Policy{Key: policy.KeyOptions{Cookies: []string{"tenant"}}},
			policy.Policy{TTL: time.Minute, Shared: true}, nil, "Cookie"},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
				return &s.outer
			}})
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "for "+r.Header.Get("X-Tenant")+r.Header.Get("Cookie"))
			}}
			h := c.Handler(c.With(s.inner)(o))
			for _, what := range []string{"the first response", "a hit"} {
				r := get(h, "/", s.asks...)
				vary := strings.Split(strings.Join(r.Header.Values("Vary"), ", "), ", ")
				if !slices.Contains(vary, s.field) &&
					r.Header.Get("Cache-Control") == "max-age=60" {
					t.Errorf("%s says %q and varies by %q", what, r.Header.Get("Cache-Control"),
						vary)
				}
			}
		})
	}
}
