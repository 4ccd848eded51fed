package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// takers are handlers that find out who asks and take the token off the request, in place and in a
// clone.
var takers = map[string]func(http.Handler) http.Handler{
	"in place": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, r.Header.Get("Authorization")))
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r)
		})
	},
	"in a clone": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(context.WithValue(r.Context(), userKey{}, r.Header.Get("Authorization")))
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r)
		})
	},
	"in a clone, and a slash more": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(context.WithValue(r.Context(), userKey{}, r.Header.Get("Authorization")))
			r.Header.Del("Authorization")
			next.ServeHTTP(w, rewriters["a slash more"](r))
		})
	},
	"in place, and a slash more in a copy": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user := r.Header.Get("Authorization")
			r.Header.Del("Authorization")
			r = rewriters["a slash more in a copy"](r)
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
		})
	},
}

var ofUser = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "of ", r.Context().Value(userKey{}))
})

// An Authorization that is taken off between two mounts, of one Cache or of two, counts for the
// inner one as well, whatever the policy of the outer one makes of the request.
func TestAuthorizationTakenOffBetweenMounts(t *testing.T) {
	tenants := policy.KeyOptions{Headers: []string{"X-Tenant"}}
	path := policy.KeyOptions{Replace: func(r *http.Request) string { return r.URL.Path }}
	for _, test := range []struct {
		name         string
		outer, inner policy.Policy
	}{
		{"obeys headers, keys by a field", policy.Policy{}, policy.Policy{TTL: time.Minute, Key: tenants}},
		{"obeys headers, a key of its own", policy.Policy{}, policy.Policy{TTL: time.Minute, Key: path}},
		{"off", policy.Policy{Off: true}, policy.Policy{TTL: time.Minute}},
		{"passes", policy.Policy{Pass: true}, policy.Policy{TTL: time.Minute}},
		{"a key of its own outside", policy.Policy{TTL: time.Minute, Key: path}, policy.Policy{TTL: time.Minute}},
		{"credentials of its own outside", policy.Policy{TTL: time.Minute, Credentials: func(*http.Request) bool {
			return false
		}}, policy.Policy{TTL: time.Minute}},
		{"keys by a field outside", policy.Policy{TTL: time.Minute, Key: tenants}, policy.Policy{TTL: time.Minute}},
	} {
		for how, take := range takers {
			for _, caches := range []string{"one Cache", "two Caches", "two Caches, two roots"} {
				t.Run(fmt.Sprint(test.name, ", ", how, ", ", caches), func(t *testing.T) {
					c := newCache(t)
					inside := c
					if caches != "one Cache" {
						inside = newCache(t)
					}
					app := c.With(test.outer)(take(inside.With(test.inner)(ofUser)))
					if caches == "two Caches, two roots" {
						app = inside.Guard(app)
					}
					app = c.Root(app)
					want(t, "one", body(get(app, "/me", "Authorization", "one", "X-Tenant", "a")), "of one")
					want(t, "two", body(get(app, "/me", "Authorization", "two", "X-Tenant", "a")), "of two")
					want(t, "nobody", body(get(app, "/me", "X-Tenant", "a")), "of ")
				})
			}
		}
	}
}

// A part that a handler asks a mount for by a request of its own is, with the context of the page's
// request, one for the page's user: its handler may learn there who that is. A Shared part is not,
// nor is one with a context of its own.
func TestAPartWhereAuthorizationWasTakenOff(t *testing.T) {
	for name, outer := range map[string]policy.Policy{"in a run": {}, "where a mount passes": {Off: true}} {
		for _, of := range []string{"its user", "Shared", "nobody"} {
			t.Run(name+", "+of, func(t *testing.T) {
				c := newCache(t)
				p := policy.Policy{TTL: time.Minute, Shared: of == "Shared"}
				part := c.With(p)(ofUser)
				app := c.Root(c.With(outer)(takers["in place"](http.HandlerFunc(
					func(w http.ResponseWriter, r *http.Request) {
						ctx := r.Context()
						if of == "nobody" {
							ctx = context.WithValue(context.Background(), userKey{}, "all")
						}
						rec := httptest.NewRecorder()
						part.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", "/part", nil))
						w.Write(rec.Body.Bytes())
					}))))
				for _, user := range []string{"one", "two", "three"} {
					gets := map[string]string{"its user": "of " + user, "Shared": "of one", "nobody": "of all"}[of]
					want(t, user, body(get(app, "/", "Authorization", user)), gets)
				}
			})
		}
	}
}
