package mounts_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// For what lacks of a stored part, the handler is asked alone where nothing outside of the cache
// puts values into the request's context, and elsewhere for the whole page: docs/caching.md says
// which.
func TestWhatIsMissingIsAskedFor(t *testing.T) {
	for _, s := range []struct {
		name  string
		build func(c *middleware.Cache, file http.Handler) http.Handler
		asked string
	}{
		{"net/http's mux", func(c *middleware.Cache, file http.Handler) http.Handler {
			m := http.NewServeMux()
			m.Handle("/{name}", c.Handler(file))
			return m
		}, "bytes=10-"},
		{"echo", func(c *middleware.Cache, file http.Handler) http.Handler {
			e := echo.New()
			e.Use(echocache.Middleware(c))
			e.GET("/:name", echo.WrapHandler(file))
			return e
		}, "bytes=10-"},
		{"chi inside", func(c *middleware.Cache, file http.Handler) http.Handler {
			m := chi.NewRouter()
			m.Get("/{name}", file.ServeHTTP)
			return c.Handler(m)
		}, "bytes=10-"},
		{"chi", func(c *middleware.Cache, file http.Handler) http.Handler {
			m := chi.NewRouter()
			m.With(c.Handler).Get("/{name}", file.ServeHTTP)
			return m
		}, ""},
		{"gorilla/mux", func(c *middleware.Cache, file http.Handler) http.Handler {
			m := mux.NewRouter()
			m.Handle("/{name}", c.Handler(file))
			return m
		}, ""},
		{"scs", func(c *middleware.Cache, file http.Handler) http.Handler {
			return newSessions().LoadAndSave(c.Handler(file))
		}, ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			c, asked := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
				return &policy.Policy{TTL: time.Minute}
			}}), ""
			app := c.Root(s.build(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Header.Get("Range")
				w.Header().Set("Etag", `"1"`)
				http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader(strings.Repeat("x",
					100)))
			})))
			for _, part := range []string{"bytes=0-9", ""} {
				r := httptest.NewRequest("GET", "/file", nil)
				if part != "" {
					r.Header.Set("Range", part)
				}
				w := httptest.NewRecorder()
				app.ServeHTTP(w, r)
				if part == "" {
					want(t, "the whole", w.Body.Len(), 100)
					if said := w.Header().Get("Cache-Status"); !strings.Contains(said, "fwd=partial") {
						t.Error(said)
					}
				}
			}
			want(t, "asked for", asked, s.asked)
		})
	}
}
