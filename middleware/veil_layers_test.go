package middleware_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// plain is a writer of an app's around another one, as a logger has, without Unwrap.
type plain struct{ http.ResponseWriter }

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(plain{w}, r) })
}

// ofContext has the handlers inside see a context with a time limit, as chi's Timeout does.
func ofContext(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// What a handler says between two header maps is hidden from the cache and from Root: the response
// is its client's alone. Where there is but one map, it is stored as ever.
func TestVeilsWithinVeils(t *testing.T) {
	limit, buffer := veils["a time limit"], veils["a buffer"]
	short := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Second, "late") }
	for _, test := range []struct {
		name           string
		outside, inner func(http.Handler) http.Handler
		stored         bool
	}{
		{"limit, limit", limit, limit, false},
		{"limit, a shorter limit", limit, short, false},
		{"limit, limit in a logger", limit, func(h http.Handler) http.Handler { return logged(limit(h)) }, false},
		{"limit, buffer", limit, buffer, false},
		{"limit, buffer in a logger", limit, func(h http.Handler) http.Handler { return logged(buffer(h)) }, false},
		{"buffer, limit", buffer, limit, false},
		{"limit", logged, limit, true},
		{"limit around a logger", logged, func(h http.Handler) http.Handler { return limit(logged(h)) }, true},
		{"buffer", logged, buffer, true},
		{"limit, in chi's Timeout", ofContext, limit, true},
		{"nothing", limit, logged, true},
	} {
		for _, fields := range [][]string{{"Vary", "X-Tenant"}, {"Cache-Control", "no-store"}} {
			t.Run(test.name+", "+fields[0], func(t *testing.T) {
				var log bytes.Buffer
				c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
				page := tenants()
				app := c.Root(test.outside(with(test.inner(c.With(policy.Policy{TTL: time.Minute})(page)), fields...)))
				for range 3 {
					for _, tenant := range []string{"acme", "globex"} {
						r := get(app, "/", "X-Tenant", tenant)
						want(t, tenant, body(r), "data of "+tenant)
						if !test.stored && !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
							t.Errorf("Cache-Control is %q", r.Header["Cache-Control"])
						}
					}
				}
				runs := int64(6)
				if test.stored && fields[0] == "Vary" {
					runs = min(3, page.runs.Load())
				}
				want(t, "runs", page.runs.Load(), runs)
				if !test.stored {
					want(t, "lines in the log", strings.Count(log.String(), "inside http.TimeoutHandler"), 1)
				}
			})
		}
	}
}

// So it is with mounts around the two.
func TestVeilsWithinVeilsInAMount(t *testing.T) {
	limit := veils["a time limit"]
	for name, outer := range map[string]policy.Policy{
		"off":   {Off: true},
		"a key": {Timeout: time.Minute, Key: policy.KeyOptions{Replace: func(r *http.Request) string { return r.URL.Path }}},
	} {
		for _, second := range []bool{true, false} {
			c := newCache(t)
			page := tenants()
			app := with(limit(c.With(policy.Policy{TTL: time.Minute})(page)), "Vary", "X-Tenant")
			if second {
				app = limit(app)
			}
			app = c.Root(c.With(outer)(app))
			for range 3 {
				for _, tenant := range []string{"acme", "globex"} {
					want(t, tenant, body(get(app, "/", "X-Tenant", tenant)), "data of "+tenant)
				}
			}
			want(t, "runs, "+name, page.runs.Load(), map[bool]int64{true: 6, false: 3}[second])
		}
	}
}
