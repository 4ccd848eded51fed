package echocache_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// pageOfIt works as echo's RequestLogger: it lets the app's handler of errors answer, and passes
// the error on.
func pageOfIt(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		return err
	}
}

// pageOfItByHand calls the app's handler of errors itself.
func pageOfItByHand(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err != nil {
			c.Echo().HTTPErrorHandler(err, c)
		}
		return err
	}
}

// holdsBack works as compressors of net/http do: the response goes on when its handler has
// returned.
func holdsBack(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := &heldResponse{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(b, r)
		w.WriteHeader(b.status)
		w.Write(b.body)
	})
}

type heldResponse struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (w *heldResponse) WriteHeader(status int) { w.status = status }
func (w *heldResponse) Write(p []byte) (int, error) {
	w.body = append(w.body, p...)
	return len(p), nil
}
func (w *heldResponse) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// errorMounts are the ways to have an error's page made inside the cache before the cache sees the
// error.
var errorMounts = []struct {
	name string
	with func(a *app) []echo.MiddlewareFunc // outermost first
}{
	{"the cache alone", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{echocache.Middleware(a.cache)}
	}},
	{"a mount inside a mount", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{
			echocache.Middleware(a.cache), echocache.With(a.cache, policy.Policy{TTL: time.Minute})}
	}},
	{"With twice", func(a *app) []echo.MiddlewareFunc {
		m := echocache.With(a.cache, policy.Policy{TTL: time.Minute})
		return []echo.MiddlewareFunc{m, m}
	}},
	{"a mount inside a mount, which makes other keys", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{echocache.Middleware(a.cache),
			echocache.With(a.cache,
				policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})}
	}},
	{"the same, with a middleware of net/http between that holds back",
		func(a *app) []echo.MiddlewareFunc {
			return []echo.MiddlewareFunc{echocache.Middleware(a.cache),
				echo.WrapMiddleware(holdsBack),
				echocache.With(a.cache,
					policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})}
		}},
	{"the same, with a compressor between", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{echocache.Middleware(a.cache), zips,
			echocache.With(a.cache,
				policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}})}
	}},
	{"Context.Error inside", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{echocache.Middleware(a.cache), pageOfIt}
	}},
	{"HTTPErrorHandler inside", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{echocache.Middleware(a.cache), pageOfItByHand}
	}},
	{"Context.Error inside a middleware of net/http", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{echocache.Middleware(a.cache),
			echo.WrapMiddleware(func(next http.Handler) http.Handler { return next }), pageOfIt}
	}},
	{"Context.Error inside one mount of two", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{
			echocache.Middleware(a.cache), echocache.With(a.cache, policy.Policy{TTL: time.Minute}),
			pageOfIt}
	}},
	{"Context.Error inside a compressor", func(a *app) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{echocache.Middleware(a.cache), zips, pageOfIt}
	}},
}

// client asks over the network, once, and not again on a connection that was aborted.
func (a *app) client(t *testing.T, method, target string) (status int, body string, err error) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	s := a.serve(t)
	defer s.Close() // when its handlers have returned
	r, err := http.NewRequest(method, s.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// A stale response that stands in for an error at one mount is whole for the mount around it.
func TestStaleStandsInInsideAMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t)
		boom := errors.New("boom")
		a.Use(echocache.Middleware(a.cache))
		a.GET("/", a.counted(func(c echo.Context) error {
			page("good")(c)
			if a.runs.Load() > 1 {
				return boom
			}
			return nil
		}), echocache.With(a.cache, policy.Policy{
			StaleIfError: time.Hour, Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}}))
		want(t, "first", a.ask("GET", "/").Body.String(), "good")
		time.Sleep(2 * time.Minute)
		r := a.ask("GET", "/")
		want(t, "status", r.Code, 200)
		want(t, "body", r.Body.String(), "good")
		want(t, "logged", a.last(), line{200, 4, boom})
		want(t, "runs", a.runs.Load(), 2)
	})
}

// A middleware of net/http that holds the header back hides from the cache who began the response:
// then an error's status is what tells its page from one that broke off.
func TestErrorPageHeldBackInside(t *testing.T) {
	for _, story := range []struct {
		name   string
		err    error
		wrote  int // by the handler itself
		status int
	}{
		{"404", echo.ErrNotFound, 0, 404},
		{"500", io.ErrUnexpectedEOF, 0, 500},
		{"half a page", io.ErrUnexpectedEOF, 200, 500},
		{"half a page of another error", io.ErrUnexpectedEOF, 502, 500},
	} {
		t.Run(story.name, func(t *testing.T) {
			a := newApp(t)
			a.Use(echocache.Middleware(a.cache), echo.WrapMiddleware(holdsBack), pageOfIt)
			a.GET("/", a.counted(func(c echo.Context) error {
				if story.wrote != 0 {
					c.String(story.wrote, "half")
				}
				return story.err
			}))
			status, body, err := a.client(t, "GET", "/")
			if err != nil || status != story.status || strings.Contains(body, "half") {
				t.Errorf("%d, %q, %v, want the page of %d", status, body, err, story.status)
			}
		})
	}
}

// An error whose page is made inside the cache is a page as any, however it was made there: no
// client's connection is cut, and those outside get the error.
func TestErrorPageMadeInside(t *testing.T) {
	var (
		lost  = echo.NewHTTPError(http.StatusNotFound, "no such post")
		boom  = errors.New("boom")
		login = errors.New("log in first")
		soft  = errors.New("soft")
	)
	own := func(err error, c echo.Context) {
		switch {
		case c.Response().Committed:
		case errors.Is(err, login):
			c.Redirect(http.StatusFound, "/login")
		case errors.Is(err, soft): // of an API whose errors are 200s
			c.String(http.StatusOK, strings.Repeat("soft ", 20<<10))
		default:
			c.Echo().DefaultHTTPErrorHandler(err, c)
		}
	}
	for _, mount := range errorMounts {
		for _, story := range []struct {
			name, method string
			err          error
			handler      echo.HTTPErrorHandler
			status       int
			body         string
		}{
			{"404", "GET", lost, nil, 404, `{"message":"no such post"}` + "\n"},
			{"404 to HEAD", "HEAD", lost, nil, 404, ""},
			{"500", "GET", boom, nil, 500, `{"message":"Internal Server Error"}` + "\n"},
			{"a redirect", "GET", login, own, 302, ""},
			{"a long page that is no error's by its status", "GET", soft, own, 200,
				strings.Repeat("soft ", 20<<10)},
			{"404, by a handler of the app's", "GET", lost, own, 404, `{"message":"no such post"}` +
				"\n"},
		} {
			t.Run(mount.name+"/"+story.name, func(t *testing.T) {
				a := newApp(t)
				if story.handler != nil {
					a.HTTPErrorHandler = story.handler
				}
				a.Add(story.method, "/posts/:id", a.counted(func(c echo.Context) error {
					return story.err
				}), mount.with(a)...)
				for range 2 {
					status, body, err := a.client(t, story.method, "/posts/1")
					if err != nil {
						t.Fatal("the client's connection was cut: ", err)
					}
					want(t, "status", status, story.status)
					want(t, "the body is right", body == story.body, true)
					if l := a.last(); l.status != story.status || !errors.Is(l.err, story.err) {
						t.Errorf("the logger outside saw %d and the error %v", l.status, l.err)
					}
				}
				want(t, "runs", a.runs.Load(), 2)
			})
		}
	}
}

// A handler that fails in mid-response leaves half a page, which no client takes for whole,
// whatever is inside the cache: an error's status or a call of Context.Error does not make it
// whole, and a part of another page neither. While nothing of it has gone out, the client gets the
// error's page, and the logger outside the error; else its connection is cut, and the log says why.
func TestHalfAPageInside(t *testing.T) {
	half := func(status, size int) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Set("Cache-Control", "max-age=60")
			c.String(status, strings.Repeat("x", size))
			return io.ErrUnexpectedEOF
		}
	}
	part := func(a *app) echo.HandlerFunc { // its page has a part, whose error has its page
		piece := echocache.With(a.cache, policy.Policy{})(func(echo.Context) error {
			return echo.ErrNotFound
		})
		return func(c echo.Context) error {
			whole := c.Response()
			c.SetResponse(echo.NewResponse(&heldResponse{ResponseWriter: nothing{}}, c.Echo()))
			piece(c)
			c.SetResponse(whole)
			return half(200, 10)(c)
		}
	}
	for _, mount := range errorMounts {
		for name, story := range map[string]struct {
			h    func(a *app) echo.HandlerFunc
			cuts bool
		}{
			"little":     {func(*app) echo.HandlerFunc { return half(200, 10) }, false},
			"much":       {func(*app) echo.HandlerFunc { return half(200, 100<<10) }, true},
			"an error's": {func(*app) echo.HandlerFunc { return half(502, 10) }, false},
			"much of an error": {func(*app) echo.HandlerFunc { return half(502, 100<<10) },
				true},
			"with a part": {part, false},
		} {
			t.Run(mount.name+"/"+name, func(t *testing.T) {
				var log bytes.Buffer
				a := newApp(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
				a.GET("/", a.counted(story.h(a)), mount.with(a)...)
				lines := 0
				for range 2 {
					switch status, body, err := a.client(t, "GET", "/"); {
					case story.cuts && err == nil:
						t.Errorf("the client took half a page for whole: %d, %d bytes", status,
							len(body))
					case story.cuts:
						lines++
					case err != nil || status != 500 ||
						body != `{"message":"Internal Server Error"}`+"\n":
						t.Errorf("%d, %q, %v, want the error's page", status, body, err)
					default:
						want(t, "logged outside", a.last(), line{500, 36, io.ErrUnexpectedEOF})
					}
				}
				want(t, "runs", a.runs.Load(), 2)
				want(t, "lines of the log that say why", strings.Count(log.String(),
					io.ErrUnexpectedEOF.Error()), lines)
			})
		}
	}
}

// nothing is a writer that goes nowhere.
type nothing struct{}

func (nothing) Header() http.Header         { return http.Header{} }
func (nothing) Write(p []byte) (int, error) { return len(p), nil }
func (nothing) WriteHeader(int)             {}
