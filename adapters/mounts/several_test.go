package mounts_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/adapters/gorillacache"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// whose is a handler that says who it is, one of many closures of the same code.
func whose(who string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, who)
	}
}

func public(w http.ResponseWriter, r *http.Request) { whose("public")(w, r) }
func admin(w http.ResponseWriter, r *http.Request)  { whose("admin")(w, r) }

// api has a method for a handler, of which there is one for each audience.
type api struct{ who string }

func (a *api) page(w http.ResponseWriter, r *http.Request) { whose(a.who)(w, r) }

// logging is a middleware of the shape that most have.
func logging(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

type pair struct{ public, admin http.Handler }

type several struct {
	name string
	make func(newCache makes) pair
	hits bool // what each has stored answers for it
}

// makes makes a cache with options.
type makes func(middleware.Options) *middleware.Cache

// severals are ways to have two handlers at one URL.
var severals = []several{
	{"two muxes of net/http", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		one, other := http.NewServeMux(), http.NewServeMux()
		one.HandleFunc("/", public)
		other.HandleFunc("/", admin)
		return pair{c.Handler(one), c.Handler(other)}
	}, true},
	{"closures of one factory, with a route of their own", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		with := c.With(policy.Policy{})
		return pair{with(whose("public")), with(whose("admin"))}
	}, true},
	{"chi's With", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		one, other, with := chi.NewRouter(), chi.NewRouter(), c.With(policy.Policy{})
		one.With(with).Get("/", whose("public"))
		other.With(with).Get("/", whose("admin"))
		return pair{one, other}
	}, true},
	{"chi's Use", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		one, other := chi.NewRouter(), chi.NewRouter()
		one.Use(c.Handler, logging)
		other.Use(c.Handler, logging)
		one.Get("/", whose("public"))
		other.Get("/", whose("admin"))
		return pair{one, other}
	}, true},
	{"gorilla's Use, with functions", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		one, other := mux.NewRouter(), mux.NewRouter()
		one.Use(c.Handler)
		other.Use(c.Handler)
		one.HandleFunc("/", public)
		other.HandleFunc("/", admin)
		return pair{one, other}
	}, true},
	{"gorilla's Use, with methods", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		one, other := mux.NewRouter(), mux.NewRouter()
		one.Use(c.Handler)
		other.Use(c.Handler)
		one.HandleFunc("/", (&api{"public"}).page)
		other.HandleFunc("/", (&api{"admin"}).page)
		return pair{one, other}
	}, true},
	{"gorilla's Headers", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		r := mux.NewRouter()
		r.Use(c.Handler)
		r.Handle("/", whose("admin")).Headers("X-Who", "admin")
		r.Handle("/", whose("public"))
		return pair{r, as(r, "admin")}
	}, true},
	{"gorilla's Headers, and a middleware within", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		r := mux.NewRouter()
		r.Use(c.Handler, logging)
		r.HandleFunc("/", admin).Headers("X-Who", "admin")
		r.HandleFunc("/", public)
		return pair{r, as(r, "admin")}
	}, false},
	{"gorilla's Headers, and a middleware within, named", func(newCache makes) pair {
		r := mux.NewRouter()
		c := newCache(middleware.Options{Route: gorillacache.Route(r)})
		r.Use(c.Handler, logging)
		r.HandleFunc("/", admin).Headers("X-Who", "admin")
		r.HandleFunc("/", public)
		return pair{r, as(r, "admin")}
	}, true},
	{"gorilla's routes", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		r, with := mux.NewRouter(), c.With(policy.Policy{})
		r.Handle("/", with(whose("admin"))).Headers("X-Who", "admin")
		r.Handle("/", with(whose("public")))
		return pair{r, as(r, "admin")}
	}, true},
	{"two routers of gorilla's, named", func(newCache makes) pair {
		one, other := mux.NewRouter(), mux.NewRouter()
		c := newCache(middleware.Options{Route: gorillacache.Route(one, other)})
		one.Use(c.Handler, logging)
		other.Use(c.Handler, logging)
		one.HandleFunc("/", public)
		other.HandleFunc("/", admin)
		return pair{one, other}
	}, true},
	{"two echos", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		one, other := echo.New(), echo.New()
		one.Use(echocache.Middleware(c))
		other.Use(echocache.Middleware(c))
		one.GET("/", echo.WrapHandler(whose("public")))
		other.GET("/", echo.WrapHandler(whose("admin")))
		return pair{one, other}
	}, true},
	{"two echos with one middleware", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		cached := echocache.Middleware(c)
		app := func(who string) http.Handler {
			e := echo.New()
			e.Use(cached)
			e.GET("/", echo.WrapHandler(whose(who)))
			return e
		}
		return pair{app("public"), app("admin")}
	}, false},
	{"routes of two echos with one middleware", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		one, other, cached := echo.New(), echo.New(), echocache.With(c, policy.Policy{})
		one.GET("/", echo.WrapHandler(whose("public")), cached)
		other.GET("/", echo.WrapHandler(whose("admin")), cached)
		return pair{one, other}
	}, false},
	{"echo.WrapMiddleware", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		one, other := echo.New(), echo.New()
		one.Use(echo.WrapMiddleware(c.Handler))
		other.Use(echo.WrapMiddleware(c.Handler))
		one.GET("/", echo.WrapHandler(whose("public")))
		other.GET("/", echo.WrapHandler(whose("admin")))
		return pair{one, other}
	}, false},
	{"prefixes that are stripped of the request line, too", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		strip := func(prefix string, next http.Handler) http.Handler {
			return http.StripPrefix(prefix, http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				r.RequestURI = r.URL.RequestURI()
				next.ServeHTTP(w, r)
			}))
		}
		m := http.NewServeMux()
		m.Handle("/public/", strip("/public", c.Handler(whose("public"))))
		m.Handle("/admin/", strip("/admin", c.Handler(whose("admin"))))
		return pair{at(m, "/public/"), at(m, "/admin/")}
	}, true},
	{"Shared beside one that is not", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who := "public"
			if r.Header.Get("X-Who") != "" {
				who = "admin"
			}
			whose(who)(w, r)
		})
		return pair{c.With(policy.Policy{Shared: true})(h), as(c.With(policy.Policy{})(h), "admin")}
	}, true},
	{"mounted while another serves", func(newCache makes) pair {
		c := newCache(middleware.Options{})
		get(c.Handler(whose("nobody")), "/")
		with := c.With(policy.Policy{})
		return pair{with(whose("public")), with(whose("admin"))}
	}, true},
}

// as asks for a route that is chosen by a header field.
func as(h http.Handler, who string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Who", who)
		h.ServeHTTP(w, r)
	})
}

func at(h http.Handler, path string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RequestURI, r.URL.Path = path, path
		h.ServeHTTP(w, r)
	})
}

// Two handlers of one Cache at one URL never answer for each other, whichever is asked first and
// however often.
func TestSeveralAtOneURL(t *testing.T) {
	for _, s := range severals {
		for _, order := range []string{"pppaaapa", "aaapppap", "papapapa"} {
			t.Run(s.name+", "+order, func(t *testing.T) {
				var c *middleware.Cache
				two := s.make(func(o middleware.Options) *middleware.Cache {
					c = newCache(t, o)
					return c
				})
				var last *httptest.ResponseRecorder
				for i, who := range order {
					h, name := two.public, "public"
					if who == 'a' {
						h, name = two.admin, "admin"
					}
					if last = get(h, "/"); last.Body.String() != name {
						t.Errorf("%d: %s was answered with %q", i, name, last.Body)
					}
				}
				if hit := strings.Contains(last.Header().Get("Cache-Status"), "hit"); s.hits && !hit {
					t.Errorf("at last Cache-Status is %q, want a hit",
						last.Header().Get("Cache-Status"))
				}
				// A change is a change for both.
				if _, err := c.InvalidateURL(t.Context(), "http://example.com/"); err != nil {
					t.Error(err)
				}
				for _, h := range []http.Handler{two.public, two.admin} {
					if s := get(h, "/").Header().Get("Cache-Status"); strings.Contains(s, "hit") {
						t.Errorf("after a purge Cache-Status is %q", s)
					}
				}
			})
		}
	}
}

// Processes that run the same app use what each other have stored, and one that runs another build
// of it never takes one handler's page for another's.
func TestProcessesOfOneAppShare(t *testing.T) {
	type build = func(newCache makes) pair
	process := func(t *testing.T, s store.Store, j store.Journal, b build) pair {
		return b(func(o middleware.Options) *middleware.Cache {
			o.Journal = j
			return newCacheOn(t, s, o)
		})
	}
	shares := func(t *testing.T, name string, b build) {
		s, j := memstore.New(1<<20), memjournal.New()
		defer s.Close()
		one, other := process(t, s, j, b), process(t, s, j, b)
		for _, h := range [][2]http.Handler{{one.public, other.public}, {one.admin, other.admin}} {
			want(t, name, get(h[1], "/").Body.String(), get(h[0], "/").Body.String())
			if s := get(h[1], "/").Header().Get("Cache-Status"); !strings.Contains(s, "hit") {
				t.Errorf("%s: another process's page is no hit: %s", name, s)
			}
		}
	}
	for _, s := range severals {
		ownOnly := []string{"gorilla's Use, with methods", "gorilla's Headers",
			"mounted while another serves"}
		if s.hits && !slices.Contains(ownOnly, s.name) {
			t.Run(s.name, func(t *testing.T) { shares(t, s.name, s.make) })
		}
	}
	t.Run("another build", func(t *testing.T) {
		s, j := memstore.New(1<<20), memjournal.New()
		defer s.Close()
		first := process(t, s, j, func(newCache makes) pair {
			return pair{public: newCache(middleware.Options{}).Handler(mux1("public"))}
		})
		want(t, "before", get(first.public, "/").Body.String(), "public")
		second := process(t, s, j, func(newCache makes) pair {
			c := newCache(middleware.Options{})
			a := c.Handler(mux1("admin"))
			return pair{admin: a, public: c.Handler(mux1("public"))}
		})
		want(t, "admin", get(second.admin, "/").Body.String(), "admin")
		want(t, "public", get(second.public, "/").Body.String(), "public")
	})
}

func mux1(who string) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("/", whose(who))
	return m
}

// GET and HEAD of one handler in two routes share what is stored.
func TestRoutesOfOneHandlerShare(t *testing.T) {
	c := newCache(t)
	h := &counter{}
	r := chi.NewRouter()
	r.With(c.With(policy.Policy{TTL: time.Minute})).Method("GET", "/", h)
	r.With(c.With(policy.Policy{TTL: time.Minute})).Method("HEAD", "/", h)
	do(r, "GET", "/")
	do(r, "HEAD", "/")
	want(t, "runs", h.runs, 1)
}

// What mounts are called tells them apart in every build, in whatever order they are mounted.
func TestNamedMounts(t *testing.T) {
	s, j := memstore.New(1<<20), memjournal.New()
	defer s.Close()
	named := func(c *middleware.Cache, who string) http.Handler {
		return c.With(policy.Policy{Key: policy.KeyOptions{Name: who}})(mux1(who))
	}
	for _, order := range [][2]string{{"public", "admin"}, {"admin", "public"}} {
		c := newCacheOn(t, s, middleware.Options{Journal: j})
		one, other := named(c, order[0]), named(c, order[1])
		for range 2 {
			want(t, order[0], get(one, "/").Body.String(), order[0])
			want(t, order[1], get(other, "/").Body.String(), order[1])
		}
	}
}

// The log says once what cannot be told apart, and what to do.
func TestTheLogSaysWhatCannotBeTold(t *testing.T) {
	for name, says := range map[string]string{
		"gorilla's Headers, and a middleware within": "gorillacache.Route",
		"echo.WrapMiddleware":                        "adapters/echocache",
		"two echos with one middleware":              "once for each",
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			i := slices.IndexFunc(severals, func(s several) bool { return s.name == name })
			two := severals[i].make(func(o middleware.Options) *middleware.Cache {
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
				return newCache(t, o)
			})
			var last *httptest.ResponseRecorder
			for range 6 {
				get(two.public, "/")
				last = get(two.admin, "/")
			}
			want(t, "lines that say what to do", strings.Count(log.String(), says), 1)
			if s := last.Header().Get("Cache-Status"); !strings.Contains(s, "detail=route") {
				t.Errorf("Cache-Status is %q", s)
			}
		})
	}
}
