package echocache_test

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// app is an echo app with a cache, what its outermost logger saw, and how often handlers ran.
type app struct {
	*echo.Echo
	cache   *middleware.Cache
	runs    atomic.Int64
	entered atomic.Int64 // refreshes
	mu      sync.Mutex
	lines   []line
	hijacks bool // a handler takes the connection: there is no response to be committed
}

// line is what echo's logger saw of one request.
type line struct {
	status int
	size   int64
	err    error
}

// newApp has a logger outside; the cache is for the test to mount.
func newApp(t *testing.T, options ...middleware.Options) *app {
	t.Helper()
	o := middleware.Options{}
	if len(options) > 0 {
		o = options[0]
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := memstore.New(16 << 20)
	a := &app{Echo: echo.New(), cache: middleware.New(s, o)}
	a.cache.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.entered.Add(1)
		a.ServeHTTP(w, r)
	}))
	a.Logger.SetOutput(io.Discard)
	a.Use(a.logger(t))
	t.Cleanup(func() {
		if err := a.cache.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return a
}

// logger works as echo's own: it lets the app's handler of errors answer first, then looks, and
// passes the error on.
func (a *app) logger(t *testing.T) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			if err != nil {
				c.Error(err)
			}
			res := c.Response()
			a.mu.Lock()
			a.lines = append(a.lines, line{res.Status, res.Size, err})
			a.mu.Unlock()
			if !res.Committed && !a.hijacks {
				t.Error("the response was not committed when the logger saw it")
			}
			return err
		}
	}
}

// recovers works as echo's own: the panic becomes an error, and that its page, but for
// http.ErrAbortHandler.
func recovers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer func() {
			if v := recover(); v == http.ErrAbortHandler {
				panic(v)
			} else if v != nil {
				c.Error(v.(error))
			}
		}()
		return next(c)
	}
}

// zips works as echo's own: it puts itself in the place of what the Response writes to.
func zips(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		res := c.Response()
		res.Header().Add("Vary", "Accept-Encoding")
		if c.Request().Header.Get("Accept-Encoding") != "gzip" {
			return next(c)
		}
		z := &zipWriter{ResponseWriter: res.Writer, z: gzip.NewWriter(res.Writer)}
		defer func() { z.z.Close(); res.Writer = z.ResponseWriter }()
		res.Writer = z
		return next(c)
	}
}

type zipWriter struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w *zipWriter) WriteHeader(status int) {
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Encoding", "gzip")
	w.ResponseWriter.WriteHeader(status)
}

func (w *zipWriter) Write(p []byte) (int, error) { return w.z.Write(p) }
func (w *zipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// counted counts a handler's runs.
func (a *app) counted(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		a.runs.Add(1)
		return h(c)
	}
}

// last is what the logger saw of the last request.
func (a *app) last() line {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lines) == 0 {
		return line{}
	}
	return a.lines[len(a.lines)-1]
}

func (a *app) ask(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func cacheStatus(t *testing.T, h http.Header, contains string) {
	t.Helper()
	if s := h.Get("Cache-Status"); !strings.Contains(s, contains) {
		t.Errorf("Cache-Status is %q, want it to contain %q", s, contains)
	}
}

// page answers with a body that may be stored for a minute.
func page(body string) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "max-age=60")
		return c.String(http.StatusOK, body)
	}
}
