package mounts_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"golang.org/x/net/webdav"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// byMethod are apps in which GET of a note is mounted and PUT is not, as routers that route by
// method have it.
var byMethod = map[string]func(c *middleware.Cache, h http.Handler) http.Handler{
	"net/http": func(c *middleware.Cache, h http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle("GET /notes/{id}", c.With(search)(h))
		m.Handle("PUT /notes/{id}", h)
		return m
	},
	"chi": func(c *middleware.Cache, h http.Handler) http.Handler {
		r := chi.NewRouter()
		r.With(c.With(search)).Method("GET", "/notes/{id}", h)
		r.Method("PUT", "/notes/{id}", h)
		return r
	},
	"gorilla": func(c *middleware.Cache, h http.Handler) http.Handler {
		r := mux.NewRouter()
		r.Handle("/notes/{id}", c.With(search)(h)).Methods("GET")
		r.Handle("/notes/{id}", h).Methods("PUT")
		return r
	},
	"echo": func(c *middleware.Cache, h http.Handler) http.Handler {
		e := echo.New()
		e.GET("/notes/:id", echo.WrapHandler(h), echocache.With(c, search))
		e.PUT("/notes/:id", func(ctx echo.Context) error {
			if ctx.Request().Header.Get("X-Fail") != "" {
				return echo.ErrForbidden
			}
			return ctx.NoContent(http.StatusNoContent)
		})
		return e
	},
}

// A change that comes by a route without a mount is seen by what is mounted around the app.
func TestChangesBesideAMountedGet(t *testing.T) {
	for _, around := range []string{"Changes", "Handler", "Changes twice"} {
		for name, app := range byMethod {
			t.Run(name+", "+around, func(t *testing.T) {
				c := newCache(t)
				h := &counter{}
				inner := app(c, h)
				var outer http.Handler
				switch around {
				case "Changes":
					outer = c.Changes(inner)
				case "Changes twice":
					outer = c.Changes(c.Changes(inner))
				case "Handler": // around another entrance of the app: GETs come by the inner mounts
					outer = c.Handler(inner)
				}
				for range 2 {
					want(t, "before", do(inner, "GET", "/notes/1?a=1&b=2").Body.String(), "1")
				}
				put := do(outer, "PUT", "/notes/1?b=2&a=1")
				want(t, "status", put.Code, http.StatusNoContent)
				want(t, "after", do(inner, "GET", "/notes/1?a=1&b=2").Body.String(), "2")
			})
		}
	}
}

// Changes adds nothing to what it sees, and does not answer for echo, whose error pages come from
// outside.
func TestChangesIsNoCache(t *testing.T) {
	c := newCache(t)
	e := echo.New()
	e.Use(echo.WrapMiddleware(c.Changes))
	e.PUT("/notes/:id", func(echo.Context) error { return echo.ErrForbidden })
	e.GET("/notes/:id", func(ctx echo.Context) error { return ctx.String(200, "note") })
	for method, status := range map[string]int{"PUT": 403, "GET": 200} {
		r := do(e, method, "/notes/1")
		want(t, method, r.Code, status)
		want(t, method+": Cache-Status", r.Header().Get("Cache-Status"), "")
	}
}

// Changes leaves the invalidation to a mount inside, so that what a POST answers there is stored. A
// mount around another one appends the marks of both, and stores nothing, since the inner policy
// may forbid it.
func TestNestedMountsInvalidateOnce(t *testing.T) {
	for name, nest := range map[string]func(c *middleware.Cache, h http.Handler) http.Handler{
		"one in another": func(c *middleware.Cache, h http.Handler) http.Handler {
			return c.Handler(c.With(policy.Policy{})(h))
		},
		"in Changes": func(c *middleware.Cache, h http.Handler) http.Handler {
			return c.Changes(c.With(policy.Policy{})(h))
		},
	} {
		journal := memjournal.New()
		c := newCache(t, middleware.Options{Journal: journal})
		app := nest(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Location", "/note")
			fmt.Fprint(w, r.Method)
		}))
		want(t, name, do(app, "POST", "/note").Body.String(), "POST")
		marks, _, err := journal.Since(t.Context(), 0)
		want(t, name+": error", err, nil)
		want(t, name+": marks", len(marks), 2) // before the answer, and after the handler
		later := map[bool]string{true: "POST", false: "GET"}[name == "in Changes"]
		want(t, name+": a GET later", do(app, "GET", "/note").Body.String(), later)
	}
}

// dav is a WebDAV server with one cache around it, for clients without credentials.
func dav(t *testing.T, c *middleware.Cache) http.Handler {
	t.Helper()
	files := webdav.NewMemFS()
	for _, dir := range []string{"/d", "/d/e", "/other"} {
		if err := files.Mkdir(context.Background(), dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return c.With(policy.Policy{TTL: time.Hour})(&webdav.Handler{FileSystem: files,
		LockSystem: webdav.NewMemLS()})
}

func put(h http.Handler, path, text string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("PUT", path, strings.NewReader(text)))
	return w.Code
}

// What WebDAV moves, copies and deletes is served from the cache nowhere afterwards: neither the
// source, nor the destination, nor a member of either.
func TestWebDAV(t *testing.T) {
	type step struct {
		method, target, destination string
		status                      int
		header                      []string
	}
	for name, story := range map[string]struct {
		step  step
		after map[string]string // path to text; "" for 404
	}{
		"MOVE of a file, to a path": {step{"MOVE", "/d/a", "/d/b", 204, nil},
			map[string]string{"/d/a": "", "/d/b": "a"}},
		"MOVE of a file, to a URL": {step{"MOVE", "/d/a", "http://example.com/d/b", 204, nil},
			map[string]string{"/d/a": "", "/d/b": "a"}},
		"MOVE of a file, behind a proxy that ends TLS": {step{"MOVE", "/d/a",
			"https://example.com/d/b", 204, nil},
			map[string]string{"/d/a": "", "/d/b": "a"}},
		"COPY of a file": {step{"COPY", "/d/a", "/d/b", 204, nil}, map[string]string{"/d/a": "a",
			"/d/b": "a"}},
		"MOVE of a collection": {step{"MOVE", "/d", "/other", 204, nil},
			map[string]string{"/d/a": "", "/d/e/c": "", "/other/a": "a", "/other/e/c": "c"}},
		"MOVE of a collection with a slash": {step{"MOVE", "/d/", "/other/", 204, nil},
			map[string]string{"/d/a": "", "/d/e/c": "", "/other/a": "a", "/other/e/c": "c"}},
		"COPY of a collection": {step{"COPY", "/d", "/other", 204, nil},
			map[string]string{"/d/a": "a", "/other/a": "a", "/other/e/c": "c"}},
		"COPY that must not overwrite": {step{"COPY", "/d/a", "/d/b", 412, []string{"Overwrite",
			"F"}},
			map[string]string{"/d/a": "a", "/d/b": "b"}},
		"DELETE of a collection with a slash": {step{"DELETE", "/d/", "", 204, nil},
			map[string]string{"/d/a": "", "/d/e/c": "", "/other/a": "x"}},
		"DELETE of a collection, with Depth": {step{"DELETE", "/d", "", 204,
			[]string{"Depth", "infinity"}},
			map[string]string{"/d/a": "", "/d/e/c": ""}},
		"DELETE of a file": {step{"DELETE", "/d/a", "", 204, nil},
			map[string]string{"/d/a": "", "/d/b": "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			h := dav(t, c)
			for path, text := range map[string]string{"/d/a": "a", "/d/b": "b", "/d/e/c": "c",
				"/other/a": "x"} {
				want(t, "PUT "+path, put(h, path, text), 201)
				for range 2 {
					want(t, "GET "+path, do(h, "GET", path).Body.String(), text)
				}
			}
			want(t, "OPTIONS", do(h, "OPTIONS", "/").Code, 200) // as clients ask first
			header := story.step.header
			if story.step.destination != "" {
				header = append(header, "Destination", story.step.destination)
			}
			if story.step.method == "MOVE" {
				header = append(header, "Overwrite", "T") // which x/net/webdav wants of it
			}
			want(t, "status", do(h, story.step.method, story.step.target, header...).Code,
				story.step.status)
			for path, text := range story.after {
				r := do(h, "GET", path)
				got := r.Body.String()
				if r.Code == http.StatusNotFound {
					got = ""
				}
				want(t, "then "+path, got, text)
			}
		})
	}
}

// A server that has answered a method of WebDAV's keeps collections, so that a DELETE without a
// slash may be of one.
func TestWebDAVIsSeen(t *testing.T) {
	c := newCache(t)
	h := dav(t, c)
	want(t, "PROPFIND", do(h, "PROPFIND", "/d", "Depth", "1").Code, 207)
	want(t, "PUT", put(h, "/d/a", "a"), 201)
	for range 2 {
		want(t, "GET", do(h, "GET", "/d/a").Body.String(), "a")
	}
	want(t, "DELETE", do(h, "DELETE", "/d").Code, 204)
	want(t, "GET", do(h, "GET", "/d/a").Code, 404)
}

// Behind middleware that gives a request another path or host, a change of the URL that clients ask
// for is a change of what is stored, and so is its invalidation.
func TestChangesOfRewrittenURLs(t *testing.T) {
	note := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	apps := map[string]func(c *middleware.Cache, h http.Handler) http.Handler{
		"echo's AddTrailingSlash": func(c *middleware.Cache, h http.Handler) http.Handler {
			e := echo.New()
			e.Pre(echomiddleware.AddTrailingSlash())
			e.GET("/notes/:id/", echo.WrapHandler(h), echocache.With(c, search))
			e.PUT("/notes/:id/", echo.WrapHandler(note))
			return e
		},
		"echo's RemoveTrailingSlash": func(c *middleware.Cache, h http.Handler) http.Handler {
			e := echo.New()
			e.Pre(echomiddleware.RemoveTrailingSlash())
			e.GET("/notes/:id", echo.WrapHandler(h), echocache.With(c, search))
			e.PUT("/notes/:id", echo.WrapHandler(note))
			return e
		},
		"gorilla's ProxyHeaders": func(c *middleware.Cache, h http.Handler) http.Handler {
			m := http.NewServeMux()
			m.Handle("GET /notes/{id}", c.With(search)(h))
			m.Handle("PUT /notes/{id}", note)
			return handlers.ProxyHeaders(m)
		},
		"chi's StripSlashes": func(c *middleware.Cache, h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Use(chimiddleware.StripSlashes)
			r.With(c.With(search)).Method("GET", "/notes/{id}", h)
			r.Method("PUT", "/notes/{id}", note)
			return r
		},
	}
	for name, app := range apps {
		for _, path := range []string{"/notes/1", "/notes/1/"} {
			if strings.HasSuffix(path, "/") && name == "gorilla's ProxyHeaders" {
				continue // a path that nothing is mounted at
			}
			t.Run(name+" "+path, func(t *testing.T) {
				c := newCache(t)
				runs := 0
				h := c.Root(c.Changes(app(c, http.HandlerFunc(
					func(w http.ResponseWriter, r *http.Request) { runs++; fmt.Fprint(w, "note ", runs) }))))
				url := "http://127.0.0.1:8080" + path
				ask := func(method string) string {
					r := httptest.NewRequest(method, url, nil)
					r.Header.Set("X-Forwarded-Host", "www.example.org")
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					return w.Body.String()
				}
				expect := func(when, want string) {
					t.Helper()
					if got := ask("GET"); got != want {
						t.Errorf("%s: %q, want %q", when, got, want)
					}
				}
				expect("first", "note 1")
				expect("stored", "note 1")
				ask("PUT")
				expect("after a PUT", "note 2")
				if _, err := c.InvalidateURL(context.Background(), url); err != nil {
					t.Fatal(err)
				}
				expect("after InvalidateURL", "note 3")
				expect("stored again", "note 3")
			})
		}
	}
}
