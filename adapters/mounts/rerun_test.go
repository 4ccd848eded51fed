package mounts_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/adapters/gorillacache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// files answers with a document whose name is the path's last segment. It does not look at
// If-Range, as many handlers that are written by hand do not, and answers each condition with a 304
// of its own.
type files struct{ version string }

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:] + " of the files, " + f.version +
		strings.Repeat(".", 40)
	w.Header().Set("Etag", `"`+f.version+`"`)
	var from, to int
	switch n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); {
	case n == 2, n == 1:
		if to == 0 {
			to = len(text) - 1
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(text)))
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, text[from:to+1])
	case r.Header.Get("If-None-Match") != "":
		w.WriteHeader(http.StatusNotModified)
	default:
		io.WriteString(w, text)
	}
}

// A page that the cache wants whole, because the part that it lacked is another version's, or
// because a 304 was about another one, is never another route's: routers keep in a request's
// context how far they have come.
func TestAPageThatIsAskedForAgainIsOfItsRoute(t *testing.T) {
	type app func(c *middleware.Cache, files http.Handler) http.Handler
	profile := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a profile")
	})
	for name, build := range map[string]app{
		"chi, Use and Route": func(c *middleware.Cache, files http.Handler) http.Handler {
			m := chi.NewRouter()
			m.Use(c.Handler)
			m.Route("/files", func(m chi.Router) { m.Get("/{name}", files.ServeHTTP) })
			m.Get("/{name}", profile)
			return m
		},
		"chi, Use and Mount": func(c *middleware.Cache, files http.Handler) http.Handler {
			sub := chi.NewRouter()
			sub.Get("/{name}", files.ServeHTTP)
			m := chi.NewRouter()
			m.Use(c.Handler)
			m.Mount("/files", sub)
			m.Get("/{name}", profile)
			return m
		},
		"chi, Use within Route": func(c *middleware.Cache, files http.Handler) http.Handler {
			m := chi.NewRouter()
			m.Route("/files", func(m chi.Router) {
				m.Use(c.Handler)
				m.Route("/", func(m chi.Router) { m.Get("/{name}", files.ServeHTTP) })
			})
			m.Get("/{name}", profile)
			return m
		},
		"chi, With": func(c *middleware.Cache, files http.Handler) http.Handler {
			m := chi.NewRouter()
			m.With(c.Handler).Get("/files/{name}", files.ServeHTTP)
			m.Get("/{name}", profile)
			return m
		},
		"chi inside": func(c *middleware.Cache, files http.Handler) http.Handler {
			m := chi.NewRouter()
			m.Route("/files", func(m chi.Router) { m.Get("/{name}", files.ServeHTTP) })
			m.Get("/{name}", profile)
			return c.Handler(m)
		},
		"gorilla": func(c *middleware.Cache, files http.Handler) http.Handler {
			m := mux.NewRouter()
			m.Use(c.Handler)
			m.PathPrefix("/files").Subrouter().Handle("/{name}", files)
			m.Handle("/{name}", profile)
			return m
		},
		"echo": func(c *middleware.Cache, files http.Handler) http.Handler {
			e := echo.New()
			e.Use(echocache.Middleware(c))
			e.Group("/files").GET("/:name", echo.WrapHandler(files))
			e.GET("/:name", echo.WrapHandler(profile))
			return e
		},
		"net/http's mux": func(c *middleware.Cache, files http.Handler) http.Handler {
			sub := http.NewServeMux()
			sub.Handle("/files/{name}", files)
			m := http.NewServeMux()
			m.Handle("/files/", sub)
			m.Handle("/{name}", profile)
			return c.Handler(m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &files{version: "v1"}
			options := middleware.Options{Log: slog.New(slog.DiscardHandler),
				Policy: func(*http.Request) *policy.Policy {
					return &policy.Policy{TTL: time.Minute}
				}}
			if name == "gorilla" {
				options.Route = gorillacache.Route(mux.NewRouter())
			}
			c := newCache(t, options)
			s := httptest.NewServer(c.Root(build(c, f)))
			defer s.Close()
			ask := func(path string, field ...string) string {
				r, _ := http.NewRequest("GET", s.URL+path, nil)
				for i := 0; i < len(field); i += 2 {
					r.Header.Set(field[i], field[i+1])
				}
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					return err.Error()
				}
				defer res.Body.Close()
				text, _ := io.ReadAll(res.Body)
				if res.StatusCode >= 500 {
					return fmt.Sprint(res.StatusCode)
				}
				return strings.TrimRight(string(text), ".")
			}
			want(t, "a part", ask("/files/login", "Range", "bytes=0-5"), "login ")
			f.version = "v2"
			want(t, "the whole", ask("/files/login"), "login of the files, v2")
			want(t, "the whole, again", ask("/files/login"), "login of the files, v2")
			f.version = "v3"
			again := []string{"Cache-Control", "no-cache"}
			if got := ask("/files/login", again...); got != "login of the files, v3" &&
				got != "502" && got != "login of the files, v2" {
				t.Errorf("after a 304 of another version: got %q", got)
			}
			if got := ask("/files/login"); got != "login of the files, v3" &&
				got != "login of the files, v2" {
				t.Errorf("and then: got %q", got)
			}
			want(t, "another route", ask("/login"), "a profile")
		})
	}
}
