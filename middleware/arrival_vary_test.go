package middleware_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A response that varies by an Authorization which a handler outside takes off, or replaces by one
// of its own, is for those who had the same one.
func TestVaryByAuthorizationTakenOff(t *testing.T) {
	replace := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, r.Header.Get("Authorization")))
			r.Header.Set("Authorization", "the app's own")
			next.ServeHTTP(w, r)
		})
	}
	for name, take := range map[string]func(http.Handler) http.Handler{
		"in place": takers["in place"], "in a clone": takers["in a clone"], "replaced": replace,
	} {
		for _, word := range []string{"max-age=60, must-revalidate", "max-age=60, public"} {
			t.Run(name+", "+word, func(t *testing.T) {
				c := newCache(t)
				page := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", word)
					w.Header().Set("Vary", "Authorization")
					ofUser(w, r)
				}))
				app := c.Root(take(page))
				for _, user := range []string{"one", "two", "one", "two"} {
					want(t, user, body(get(app, "/", "Authorization", user)), "of "+user)
				}
				want(t, "nobody", body(get(app, "/")), "of ")
				status(t, get(app, "/", "Authorization", "one"), "hit")
				want(t, "two, once more", body(get(app, "/", "Authorization", "two")), "of two")
			})
		}
	}
}

// So do those who ask for it at one time.
func TestVaryByAuthorizationTakenOffAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		app := c.Root(takers["in place"](c.With(policy.Policy{Shared: true})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Second)
				w.Header().Set("Cache-Control", "max-age=60, public")
				w.Header().Set("Vary", "Authorization")
				ofUser(w, r)
			}))))
		for _, user := range []string{"one", "two", "one"} {
			go func() { want(t, user, body(get(app, "/", "Authorization", user)), "of "+user) }()
		}
		synctest.Wait()
		time.Sleep(10 * time.Second)
	})
}
