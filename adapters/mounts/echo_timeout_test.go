package mounts_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	echomw "github.com/labstack/echo/v4/middleware"

	"github.com/freshet-go/freshet/adapters/echocache"
)

// echo's Timeout throws away what was written where the handler inside returns an error: so an
// error that has its page does not come to it.
func TestErrorPagesInsideEchosTimeout(t *testing.T) {
	for name, between := range map[string][]echo.MiddlewareFunc{"alone": nil,
		"with Gzip between": {echomw.Gzip()}} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			e := echo.New()
			e.Use(echomw.TimeoutWithConfig(echomw.TimeoutConfig{Timeout: time.Hour}))
			e.Use(between...)
			e.Use(echocache.Middleware(c))
			e.GET("/posts/:id", func(c echo.Context) error {
				return echo.NewHTTPError(404, "no such post")
			})
			e.GET("/page", func(c echo.Context) error { return c.String(200, "page") })
			app := httptest.NewServer(c.Root(e))
			defer app.Close()
			for path, status := range map[string]int{"/posts/1": 404, "/lost": 404, "/page": 200} {
				res, err := http.Get(app.URL + path)
				if err != nil {
					t.Errorf("%s: %v", path, err)
					continue
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != status || len(b) == 0 {
					t.Errorf("%s: %d %q, %v", path, res.StatusCode, b, err)
				}
			}
		})
	}
}
