package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// headerSessions is what the README of scs has for clients without cookies: the token of a session
// comes and goes in X-Session.
func headerSessions(m *scs.SessionManager, next http.Handler, late bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := m.Load(r.Context(), r.Header.Get("X-Session"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		r = r.WithContext(ctx)
		commit := func() {
			if m.Status(ctx) != scs.Modified {
				return
			}
			if token, _, err := m.Commit(ctx); err == nil {
				w.Header().Set("X-Session", token)
			}
		}
		if late {
			next.ServeHTTP(&wrapped{ResponseWriter: w, save: commit}, r)
			return
		}
		whole := httptest.NewRecorder()
		next.ServeHTTP(whole, r)
		for name, values := range whole.Header() {
			w.Header()[name] = values
		}
		commit()
		w.WriteHeader(whole.Code)
		whole.Body.WriteTo(w)
	})
}

// A session whose token comes in a field of the response is its client's alone, as one with a
// cookie is: inside of the cache, and outside of it.
func TestASessionOfSCSInAField(t *testing.T) {
	type app func(c *middleware.Cache, m *scs.SessionManager, p policy.Policy,
		page http.Handler) http.Handler
	inside := func(late bool) app {
		return func(c *middleware.Cache, m *scs.SessionManager, p policy.Policy,
			page http.Handler) http.Handler {
			return c.Root(c.With(p)(headerSessions(m, page, late)))
		}
	}
	outside := func(late bool) app {
		return func(c *middleware.Cache, m *scs.SessionManager, p policy.Policy,
			page http.Handler) http.Handler {
			return c.Root(headerSessions(m, c.With(p)(page), late))
		}
	}
	bare := func(c *middleware.Cache, m *scs.SessionManager, p policy.Policy,
		page http.Handler) http.Handler {
		return headerSessions(m, c.With(p)(page), true)
	}
	for name, build := range map[string]app{"inside, before": inside(false), "inside": inside(true),
		"outside": outside(true), "outside, without Root": bare} {
		for how, p := range map[string]policy.Policy{"a TTL": {TTL: time.Minute},
			"Shared": {TTL: time.Minute, Shared: true}} {
			t.Run(name+", "+how, func(t *testing.T) {
				sessions, carts := newSessions(), 0
				c := newCache(t)
				page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					cart := sessions.GetString(r.Context(), "cart")
					if r.URL.Path == "/cart" && cart == "" {
						carts++
						cart = fmt.Sprint("cart ", carts)
						sessions.Put(r.Context(), "cart", cart)
					}
					io.WriteString(w, cart)
				})
				h := build(c, sessions, p, page)
				first, second := get(h, "/cart"), get(h, "/cart")
				if p.Shared {
					want(t, "of everybody", second.Body.String(), "cart 1")
					return
				}
				want(t, "first", first.Body.String(), "cart 1")
				want(t, "second", second.Body.String(), "cart 2")
				if second.Header().Get("X-Session") == first.Header().Get("X-Session") {
					t.Errorf("both have the session %q", first.Header().Get("X-Session"))
				}
				if name == "inside" {
					want(t, "Cache-Status", first.Header().Get("Cache-Status"),
						"Freshet; fwd=uri-miss; fwd-status=200; detail=set-identity")
					want(t, "Cache-Control", first.Header().Get("Cache-Control"),
						"no-cache, no-store")
				}
				again := get(h, "/cart", "X-Session", first.Header().Get("X-Session"))
				want(t, "the first again", again.Body.String(), "cart 1")
				get(h, "/other")
				want(t, "a page without a session", get(h, "/other").Header().Get("Cache-Status"),
					"Freshet; hit; ttl=59")
			})
		}
	}
}
