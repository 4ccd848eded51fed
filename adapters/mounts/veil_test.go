package mounts_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/cors"
)

// limited is net/http's time limit, as a middleware.
func limited(next http.Handler) http.Handler {
	return http.TimeoutHandler(next, time.Minute, "late")
}

// chi's NoCache stands outside of net/http's time limit, and the cache inside of it.
func TestNoCacheOutsideOfTimeoutHandler(t *testing.T) {
	c := newCache(t)
	mux := chi.NewRouter()
	mux.Use(middleware.NoCache, limited)
	mux.With(c.With(policy.Policy{TTL: time.Minute})).Get("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "for ", r.Header.Get("X-Real-Ip"))
	})
	app := c.Root(mux)
	for _, ip := range []string{"10.0.0.1", "10.0.0.2"} {
		w := get(app, "/", "X-Real-Ip", ip)
		want(t, ip, w.Body.String(), "for "+ip)
		want(t, "Cache-Control", w.Header().Get("Cache-Control"),
			"no-cache, no-store, no-transform, must-revalidate, private, max-age=0")
	}
}

// rs/cors stands outside of net/http's time limit: its Vary stays, on hits as well, and pages are
// shared, also among requests without an Origin.
func TestCORSOutsideOfTimeoutHandler(t *testing.T) {
	c := newCache(t)
	n := 0
	app := c.Root(cors.New(cors.Options{AllowedOrigins: []string{"https://a.example"}}).Handler(limited(
		c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { n++; fmt.Fprint(w, "api") })))))
	for _, header := range [][]string{nil, nil, nil, {"Origin", "https://a.example"}, {"Origin", "https://a.example"}} {
		w := get(app, "/", header...)
		if vary := strings.Join(w.Header()["Vary"], ", "); !strings.Contains(vary, "Origin") {
			t.Errorf("Vary is %q", vary)
		}
	}
	want(t, "runs", n, 3) // one that was not stored, and one for each origin
}
