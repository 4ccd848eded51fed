package middleware_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// stripper asks for the header as it is written, and may take Cache-Status off.
type stripper struct {
	http.ResponseWriter
	strips bool
}

func (s stripper) WriteHeader(status int) {
	if h := s.Header(); s.strips {
		h.Del("Cache-Status")
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s stripper) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// holdsMap is a buffer that took hold of the header map outside before it called the cache.
func holdsMap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, rec := w.Header(), httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		maps.Copy(h, rec.Header())
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	})
}

// What handlers outside of a time limit say stays and counts, also in an app that shows nobody its
// Cache-Status.
func TestAVeilWithoutCacheStatus(t *testing.T) {
	around := maps.Clone(veils)
	around["a buffer that hides all"] = holdsMap
	for name, veil := range around {
		for _, by := range []string{"OnHeader", "a handler", "nobody"} {
			for _, fields := range [][]string{
				{"Vary", "X-Tenant"}, {"Cache-Control", "no-store"}, {"Vary", "X-Tenant", "Cache-Control", "no-store"},
			} {
				t.Run(strings.Join([]string{name, by, strings.Join(fields, " ")}, ", "), func(t *testing.T) {
					var o middleware.Options
					if by == "OnHeader" {
						o.OnHeader = func(_ int, h http.Header) { h.Del("Cache-Status") }
					}
					c := newCache(t, o)
					page := tenants()
					app := with(veil(c.With(policy.Policy{TTL: time.Minute})(page)), fields...)
					if by != "OnHeader" {
						inner := app
						app = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							inner.ServeHTTP(stripper{w, by == "a handler"}, r)
						})
					}
					app = c.Root(app)
					for range 3 {
						for _, tenant := range []string{"acme", "globex"} {
							r := get(app, "/", "X-Tenant", tenant)
							want(t, tenant, body(r), "data of "+tenant)
							if by != "nobody" {
								gets(t, "Cache-Status", r, "Cache-Status", "")
							}
							for i := 0; i < len(fields) && name != "a buffer that hides all"; i += 2 {
								if got := strings.Join(r.Header[fields[i]], ", "); !strings.Contains(got, fields[i+1]) {
									t.Errorf("%s is %q", fields[i], got)
								}
							}
						}
					}
					runs := int64(6)
					if len(fields) == 2 && fields[0] == "Vary" && name != "a buffer that hides all" {
						runs = 3
					}
					want(t, "runs", page.runs.Load(), runs)
				})
			}
		}
	}
}

// Where OnHeader changes the lifetime as well, nobody knows of whom the word is that leaves.
func TestAVeilWithALifetimeOfOnHeader(t *testing.T) {
	c := newCache(t, middleware.Options{OnHeader: func(_ int, h http.Header) {
		h.Del("Cache-Status")
		h.Set("Cache-Control", "max-age=1")
	}})
	page := tenants()
	app := c.Root(with(veils["a time limit"](c.With(policy.Policy{TTL: time.Minute})(page)),
		"Cache-Control", "no-store"))
	for _, tenant := range []string{"acme", "globex"} {
		want(t, tenant, body(get(app, "/", "X-Tenant", tenant)), "data of "+tenant)
	}
}

// A part of a page that its handler asks a mount for, with a writer of its own, is stored, and does
// not change what the page says of itself.
func TestAPartOfAPageIsNoVeil(t *testing.T) {
	c := newCache(t)
	part := tenants()
	mount := c.With(policy.Policy{TTL: time.Minute})(part)
	app := c.Root(with(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		mount.ServeHTTP(rec, httptest.NewRequestWithContext(r.Context(), "GET", "/part", nil))
		if r.URL.Path == "/own" {
			w.Header().Set("Cache-Control", "max-age=9")
		}
		w.Write(rec.Body.Bytes())
	}), "Cache-Control", "max-age=5"))
	for range 3 {
		gets(t, "lifetime", get(app, "/"), "Cache-Control", "max-age=5")
		gets(t, "own lifetime", get(app, "/own"), "Cache-Control", "max-age=9")
	}
	want(t, "runs of the part", part.runs.Load(), int64(1))
}
