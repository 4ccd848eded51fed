package echocache_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/internal/cachetest"
)

// The behaviour table, with the cache as echo's outermost middleware and as one of a route.
func TestTable(t *testing.T) {
	for _, mount := range []struct {
		name string
		at   func(e *echo.Echo, h echo.HandlerFunc, m echo.MiddlewareFunc)
	}{
		{"Pre", func(e *echo.Echo, h echo.HandlerFunc, m echo.MiddlewareFunc) {
			e.Pre(m)
			e.RouteNotFound("/*", h)
		}},
		{"route", func(e *echo.Echo, h echo.HandlerFunc, m echo.MiddlewareFunc) {
			e.RouteNotFound("/*", h, m)
		}},
	} {
		t.Run(mount.name, func(t *testing.T) {
			put := func(t *testing.T, s cachetest.Site) http.Handler {
				e := echo.New()
				c := cachetest.NewCache(t, s)
				mount.at(e, echo.WrapHandler(s.Origin), echocache.Middleware(c))
				return c.Root(e)
			}
			cachetest.Run(t, put)
			cachetest.RunHandlers(t, put)
		})
	}
}
