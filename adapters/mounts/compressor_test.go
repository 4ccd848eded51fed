package mounts_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/rs/cors"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A cache inside a compressor has every hit compressed anew, which the log says once, whether the
// clients take gzip or not. A compressor inside the cache is right, and so is other middleware
// outside.
func TestACacheInsideACompressorIsNoticed(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(strings.Repeat("page ", 1000)))
	})
	minute := policy.Policy{TTL: time.Minute}
	router := func(c *middleware.Cache, order ...func(http.Handler) http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(order...)
		r.Handle("/*", page)
		return r
	}
	gz := func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }
	for _, m := range []struct {
		name    string
		app     func(c *middleware.Cache) http.Handler
		noticed bool
	}{
		{"chi's outside", func(c *middleware.Cache) http.Handler {
			return router(c, chimiddleware.Compress(5), c.With(minute))
		}, true},
		{"chi's inside", func(c *middleware.Cache) http.Handler {
			return router(c, c.With(minute), chimiddleware.Compress(5))
		}, false},
		{"gzhttp's outside", func(c *middleware.Cache) http.Handler {
			return gz(c.With(minute)(page))
		}, true},
		{"gzhttp's inside", func(c *middleware.Cache) http.Handler {
			return c.With(minute)(gz(page))
		}, false},
		{"gorilla's outside", func(c *middleware.Cache) http.Handler {
			return handlers.CompressHandler(c.With(minute)(page))
		}, true},
		{"gorilla's inside", func(c *middleware.Cache) http.Handler {
			return c.With(minute)(handlers.CompressHandler(page))
		}, false},
		{"echo's outside", func(c *middleware.Cache) http.Handler {
			e := echo.New()
			e.Use(echomiddleware.Gzip(), echocache.With(c, minute))
			e.GET("/*", echo.WrapHandler(page))
			return e
		}, true},
		{"echo's inside", func(c *middleware.Cache) http.Handler {
			e := echo.New()
			e.Use(echocache.With(c, minute), echomiddleware.Gzip())
			e.GET("/*", echo.WrapHandler(page))
			return e
		}, false},
		{"CORS outside, and a logger", func(c *middleware.Cache) http.Handler {
			return router(c, chimiddleware.RequestID, cors.Default().Handler,
				chimiddleware.Recoverer, c.With(minute))
		}, false},
	} {
		t.Run(m.name, func(t *testing.T) {
			c, text := newLoggedCache(t)
			app := m.app(c)
			for _, path := range []string{"/a", "/b", "/a"} {
				get(app, path)
				get(app, path, "Accept-Encoding", "gzip")
				get(app, path, "Origin", "https://other.example")
			}
			lines := strings.Count(text.String(), "level=WARN")
			if m.noticed != (lines == 1) || m.noticed && !strings.Contains(text.String(),
				"compressor") {
				t.Errorf("the log says:\n%s", text)
			}
		})
	}
}
