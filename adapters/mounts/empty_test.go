package mounts_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// newLoggedCache is newCache with a log that writes to what is returned besides.
func newLoggedCache(
	t *testing.T, options ...middleware.Options,
) (*middleware.Cache, *bytes.Buffer) {
	t.Helper()
	var o middleware.Options
	if len(options) > 0 {
		o = options[0]
	}
	var text bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&text, nil))
	return newCache(t, o), &text
}

// Behind echo.WrapMiddleware an error that a handler returns never reaches the cache, which sees a
// handler that wrote nothing, and a client that gets an empty 200. Under the operator's lifetime
// that was everybody's for a minute.
func TestErrorsBehindEchoWrapMiddlewareAreNotStored(t *testing.T) {
	for name, c := range map[string]struct {
		around []echo.MiddlewareFunc
		inside []echo.MiddlewareFunc
		fails  func(c echo.Context) error
		code   int
		warned bool
	}{
		"an error": {nil, nil, func(echo.Context) error { return errors.New("no database") }, 200,
			true},
		"an error, and fields that were set before": {nil,
			[]echo.MiddlewareFunc{echomiddleware.Secure(), echomiddleware.RequestID()},
			func(echo.Context) error { return echo.ErrNotFound }, 200, true},
		"a panic, recovered outside": {[]echo.MiddlewareFunc{echomiddleware.Recover()}, nil,
			func(echo.Context) error { panic("no database") }, 500, false},
		"a panic, recovered inside": {nil, []echo.MiddlewareFunc{echomiddleware.Recover()},
			func(echo.Context) error { panic("no database") }, 500, false},
	} {
		t.Run(name, func(t *testing.T) {
			cache, text := newLoggedCache(t, middleware.Options{
				// which makes the mount anew for each request
				Route: func(*http.Request) string { return "echo" },
			})
			e := echo.New()
			e.Logger.SetOutput(&bytes.Buffer{})
			e.Use(c.around...)
			e.Use(echo.WrapMiddleware(cache.With(policy.Policy{TTL: time.Minute, Heuristic: true})))
			e.Use(c.inside...)
			runs := 0
			e.GET("/page", func(ctx echo.Context) error {
				if runs++; runs <= 2 {
					return c.fails(ctx)
				}
				return ctx.String(http.StatusOK, "page")
			})
			for range 2 {
				r := get(e, "/page")
				if runs <= 2 && c.warned {
					want(t, "status", r.Code, c.code) // as echo.WrapMiddleware has it
					if s := r.Header().Get("Cache-Status"); !strings.Contains(s, "detail=empty") {
						t.Errorf("Cache-Status is %q, want detail=empty", s)
					}
					want(t, "Cache-Control", r.Header().Get("Cache-Control"), "no-cache, no-store")
				}
			}
			want(t, "once it works again", get(e, "/page").Body.String(), "page")
			want(t, "and from the cache", get(e, "/page").Body.String(), "page")
			want(t, "runs", runs, 3)
			lines := strings.Count(text.String(), "level=WARN")
			if c.warned != (lines == 1) || c.warned && !strings.Contains(text.String(),
				"echocache") {
				t.Errorf("the log says:\n%s", text)
			}
		})
	}
}

// A handler that says for how long, and writes nothing, has an empty response that is stored, as
// RFC 9111 has it. One that says that it has written all there is to write, under the operator's
// lifetime, has so too.
func TestEmptyResponsesOnPurposeAreStored(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"Cache-Control": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
		},
		"WriteHeader": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
		},
		"Write": func(w http.ResponseWriter, r *http.Request) { w.Write(nil) },
	} {
		c, text := newLoggedCache(t)
		page := c.With(policy.Policy{TTL: time.Minute})(h)
		get(page, "/")
		if s := get(page, "/").Header().Get("Cache-Status"); !strings.Contains(s, "hit") ||
			text.Len() > 0 {
			t.Errorf("%s: Cache-Status is %q, the log says %q", name, s, text)
		}
	}
}
