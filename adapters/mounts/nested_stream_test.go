package mounts_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	echomw "github.com/labstack/echo/v4/middleware"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/policy"
)

// A mount inside a mount that caches under keys of its own writes a long body from beside the
// request's goroutine, and the header that the outer mount has yet to send is nevertheless sent in
// it.
func TestNestedStreamSendsItsHeaderInTheRequestsGoroutine(t *testing.T) {
	c := newCache(t)
	inner := c.With(policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})
	app := httptest.NewServer(outside(t, c.Handler(inner(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, strings.Repeat("x", 100<<10))
		})))))
	defer app.Close()
	for _, cached := range []string{"fwd=uri-miss", "hit"} {
		res, err := http.Get(app.URL)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || len(b) != 100<<10 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if got := strings.Join(res.Header["Cache-Status"], ", "); !strings.Contains(got, cached) {
			t.Errorf("Cache-Status %q, want %q in it", got, cached)
		}
	}
}

// echo's RequestLogger has an error answered and passes it on: inside the cache and outside, the
// client gets the page.
func TestEchoRequestLogger(t *testing.T) {
	logger := echomw.RequestLoggerWithConfig(echomw.RequestLoggerConfig{HandleError: true,
		LogStatus:     true,
		LogValuesFunc: func(echo.Context, echomw.RequestLoggerValues) error { return nil }})
	for _, inside := range []bool{false, true} {
		c := newCache(t)
		e := echo.New()
		if e.Use(echocache.Middleware(c), logger); !inside {
			e = echo.New()
			e.Use(logger, echocache.Middleware(c))
		}
		e.GET("/posts/:id", func(c echo.Context) error {
			return echo.NewHTTPError(404, "no such post")
		})
		app := httptest.NewServer(c.Root(e))
		defer app.Close()
		for _, path := range []string{"/posts/1", "/lost"} {
			res, err := http.Get(app.URL + path)
			if err != nil {
				t.Errorf("%s, inside %v: %v", path, inside, err)
				continue
			}
			b, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != 404 || len(b) == 0 {
				t.Errorf("%s, inside %v: %d %q, %v", path, inside, res.StatusCode, b, err)
			}
		}
	}
}
