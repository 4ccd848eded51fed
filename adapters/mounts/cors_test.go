package mounts_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	chicors "github.com/go-chi/cors"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	rscors "github.com/rs/cors"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

var origins = []string{"https://a.example", "https://b.example"}

// corsApps mount a CORS middleware and a cache around a handler, one way round and the other.
var corsApps = []struct {
	name string
	app  func(c *middleware.Cache, p policy.Policy, h http.Handler, outside bool) http.Handler
}{
	{"rs/cors", func(c *middleware.Cache, p policy.Policy, h http.Handler,
		outside bool) http.Handler {
		return around(rscors.New(rscors.Options{AllowedOrigins: origins}).Handler, c.With(p),
			outside)(h)
	}},
	{"chi's cors", func(c *middleware.Cache, p policy.Policy, h http.Handler,
		outside bool) http.Handler {
		return around(chicors.Handler(chicors.Options{AllowedOrigins: origins}), c.With(p),
			outside)(h)
	}},
	{"echo's CORS", func(c *middleware.Cache, p policy.Policy, h http.Handler,
		outside bool) http.Handler {
		e := echo.New()
		both := []echo.MiddlewareFunc{echomiddleware.CORSWithConfig(
			echomiddleware.CORSConfig{AllowOrigins: origins}),
			echocache.With(c, p)}
		if !outside {
			both[0], both[1] = both[1], both[0]
		}
		e.Use(both...)
		e.Any("/", echo.WrapHandler(h))
		return e
	}},
}

// around mounts one middleware around a cache, or inside it.
func around(
	other, cached func(http.Handler) http.Handler, outside bool,
) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		if outside {
			return other(cached(h))
		}
		return cached(other(h))
	}
}

// Each origin gets its own Access-Control-Allow-Origin, and one that is not allowed gets none, on
// hits as on misses. Outside, all allowed origins share what is stored; inside, the middleware's
// own Vary keeps them apart.
func TestCORS(t *testing.T) {
	for _, a := range corsApps {
		for _, outside := range []bool{true, false} {
			name, runs := a.name+" inside", 0
			if outside {
				name = a.name + " outside"
			}
			t.Run(name, func(t *testing.T) {
				h := a.app(newCache(t), policy.Policy{TTL: time.Minute},
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						runs++
						io.WriteString(w, "page")
					}), outside)
				for round := range 2 {
					for _, origin := range []string{origins[0], origins[1], "",
						"https://evil.example"} {
						fields := []string{"Origin", origin}
						if origin == "" {
							fields = nil
						}
						r, allowed := get(h, "/", fields...), origin
						if origin == "https://evil.example" {
							allowed = ""
						}
						want(t, origin+": allowed", r.Header().Get("Access-Control-Allow-Origin"),
							allowed)
						want(t, origin+": body", r.Body.String(), "page")
						if !strings.Contains(strings.Join(r.Header()["Vary"], ","), "Origin") {
							t.Errorf("%s: Vary is %q", origin, r.Header()["Vary"])
						}
						if round == 1 && !strings.Contains(r.Header().Get("Cache-Status"), "hit") {
							t.Errorf("%s: Cache-Status is %q", origin,
								r.Header().Get("Cache-Status"))
						}
					}
					preflight := newVisitor(h)
					r := preflight.fields("OPTIONS", "/", "Origin", origins[0],
						"Access-Control-Request-Method", "GET")
					want(t, "preflight", r.Header().Get("Access-Control-Allow-Origin"), origins[0])
				}
				most := 4 // one for each origin
				if outside {
					most = 3 // the two that are allowed share one
				}
				want(t, "runs", runs, most)
			})
		}
	}
}

// A handler that answers by the origin itself says so, and is split by it, whatever stands outside.
func TestVaryOriginOfTheHandlerInsideCORS(t *testing.T) {
	for _, a := range corsApps {
		t.Run(a.name, func(t *testing.T) {
			h := a.app(newCache(t), policy.Policy{TTL: time.Minute},
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Add("Vary", "Origin")
					io.WriteString(w, "for "+r.Header.Get("Origin"))
				}), true)
			for range 2 {
				for _, origin := range origins {
					want(t, origin, get(h, "/", "Origin", origin).Body.String(), "for "+origin)
				}
			}
		})
	}
}
