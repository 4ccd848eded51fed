package middleware_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// What the policy of a whole app tells apart, tenants by a field for one, a route's own policy
// inside does not put together, whether it says so again or not.
func TestARouteKeepsApartWhatItsAppDoes(t *testing.T) {
	apps := map[string]policy.KeyOptions{
		"a field":  {Headers: []string{"X-Tenant"}},
		"a cookie": {Cookies: []string{"tenant"}},
		"Replace": {Replace: func(r *http.Request) string {
			return r.URL.Path + " " + r.Header.Get("X-Tenant") + r.Header.Get("Cookie")
		}},
	}
	routes := map[string]policy.Policy{
		"a lifetime": {TTL: time.Hour, Shared: true},
		"another key": {TTL: time.Hour, Shared: true,
			Key: policy.KeyOptions{Headers: []string{"Accept"}}},
		"a sorted query": {TTL: time.Hour, Shared: true, Key: policy.KeyOptions{SortQuery: true}},
	}
	for name, key := range apps {
		for inside, route := range routes {
			t.Run(name+", "+inside, func(t *testing.T) {
				field := "X-Tenant"
				if name == "a cookie" {
					field = "Cookie"
				}
				app := policy.Policy{Shared: true, Key: key}
				c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
					return &app
				}})
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprint(w, "for ", r.Header.Get(field))
				}}
				// an app inside of an app, which makes no difference
				h := c.Handler(c.Handler(c.With(route)(o)))
				for _, who := range []string{"tenant=a", "tenant=b", "tenant=a", "tenant=b"} {
					want(t, "page", body(get(h, "/", field, who)), "for "+who)
				}
				want(t, "runs", o.runs.Load(), int64(2))
				if _, err := c.InvalidateURL(t.Context(), "http://example.com/"); err != nil {
					t.Fatal(err)
				}
				get(h, "/", field, "tenant=a")
				want(t, "runs after a purge", o.runs.Load(), int64(3))
			})
		}
	}
}

// Whom the policy of a whole app knows for a user, a route's own policy inside does not take for
// anybody.
func TestARouteKnowsTheUsersOfItsApp(t *testing.T) {
	app := policy.Policy{TTL: time.Minute, Credentials: func(r *http.Request) bool {
		return r.Header.Get("X-Member") != ""
	}}
	c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy { return &app }})
	h := c.Handler(c.With(policy.Policy{TTL: time.Hour})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "for ", r.Header.Get("X-Member"))
		})))
	for _, who := range []string{"alice", "bob", "", "alice", ""} {
		want(t, "page", body(get(h, "/", "X-Member", who)), "for "+who)
	}
}

// A page that is made of a part which tells tenants apart is one tenant's, too, whatever the page's
// own policy says: the part is asked for by the app itself, with a writer of its own.
func TestAPageOfAPartThatTellsTenantsApart(t *testing.T) {
	c := newCache(t)
	part := c.With(policy.Policy{TTL: time.Minute,
		Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "for ", r.Header.Get("X-Tenant"))
		}))
	page := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := r.Clone(r.Context())
		inner.URL.Path, inner.RequestURI = "/part", "/part"
		got := &own{header: http.Header{}}
		part.ServeHTTP(got, inner)
		fmt.Fprint(w, "a part ", got.body)
	}))
	for range 2 {
		for _, who := range []string{"a", "b"} {
			want(t, "page", body(get(page, "/", "X-Tenant", who)), "a part for "+who)
		}
	}
	status(t, get(part, "/part", "X-Tenant", "a"), "hit")
}
