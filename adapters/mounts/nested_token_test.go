package mounts_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/go-chi/chi/v5"
)

type userKey struct{}

// authorized is a middleware that finds out who asks, and takes the token off the request.
func authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := r.Header.Get("Authorization")
		if user == "" {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}

// An app with a cache around it, a middleware that takes the token off, and a route with a policy
// of its own: each user gets a page of his own.
func TestATokenTakenOffBetweenTwoMountsOfAChiApp(t *testing.T) {
	c := newCache(t)
	mux := chi.NewRouter()
	mux.Use(c.Handler, authorized)
	mux.With(c.With(policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})).Get(
		"/me", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "the account of ", r.Context().Value(userKey{}))
		})
	app := c.Root(mux)
	for _, user := range []string{"alice", "bob", "alice"} {
		w := get(app, "/me", "Authorization", user, "X-Tenant", "acme")
		want(t, user, w.Body.String(), "the account of "+user)
	}
}
