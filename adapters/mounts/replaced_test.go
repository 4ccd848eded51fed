package mounts_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// securityApps set security fields for the whole app outside of the cache.
var securityApps = map[string]func(c *middleware.Cache, p policy.Policy,
	h http.HandlerFunc) http.Handler{
	"chi's SetHeader": func(c *middleware.Cache, p policy.Policy, h http.HandlerFunc) http.Handler {
		r := chi.NewRouter()
		r.Use(chimiddleware.SetHeader("Content-Security-Policy", "default-src 'self'"))
		r.Use(chimiddleware.SetHeader("X-Frame-Options", "SAMEORIGIN"))
		r.Use(c.With(p))
		r.Get("/", h)
		return r
	},
	"echo's Secure": func(c *middleware.Cache, p policy.Policy, h http.HandlerFunc) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.SecureWithConfig(echomiddleware.SecureConfig{
			ContentSecurityPolicy: "default-src 'self'", XFrameOptions: "SAMEORIGIN",
		}), echocache.With(c, p))
		e.GET("/", echo.WrapHandler(h))
		return e
	},
}

// A page with a policy of its own has that alone, and one that may be framed may be, on a hit as on
// a miss: browsers obey both of two policies, so that the app's own beside the page's would break
// it.
func TestAPagesOwnSecurityFields(t *testing.T) {
	const own = "default-src 'self' https://maps.example"
	for name, app := range securityApps {
		t.Run(name, func(t *testing.T) {
			runs := 0
			h := app(newCache(t), policy.Policy{TTL: time.Minute}, func(w http.ResponseWriter,
				r *http.Request) {
				runs++
				w.Header().Set("Content-Security-Policy", own)
				w.Header().Del("X-Frame-Options")
				io.WriteString(w, "a map for others to embed")
			})
			for _, outcome := range []string{"miss", "hit"} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if got := strings.Join(w.Header()["Content-Security-Policy"], " | "); got != own {
					t.Errorf("a %s has the policies %q, want %q alone", outcome, got, own)
				}
				if got := w.Header().Get("X-Frame-Options"); got != "" {
					t.Errorf("a %s has X-Frame-Options %q, which the page has removed", outcome,
						got)
				}
			}
			want(t, "runs", runs, 1)
		})
	}
}
