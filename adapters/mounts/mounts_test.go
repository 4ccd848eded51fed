package mounts_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// mount is a way to put a Cache around GET /shops/{shop}/items/{id} in a router, and how a handler
// there asks the router what it matched.
type mount struct {
	name  string
	route func(c *middleware.Cache, h http.HandlerFunc) http.Handler
	param func(r *http.Request, name string) string
	// matched is the route as the router tells it inside the handler. Nil: it does not.
	matched func(r *http.Request) string
}

const path = "/shops/{shop}/items/{id}"

func chiMatched(r *http.Request) string { return chi.RouteContext(r.Context()).RoutePattern() }

func muxVar(r *http.Request, name string) string { return mux.Vars(r)[name] }

func muxMatched(r *http.Request) string {
	template, _ := mux.CurrentRoute(r).GetPathTemplate()
	return template
}

var mounts = []mount{
	{"chi Use", func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		m := chi.NewRouter()
		m.Use(c.Handler)
		m.Get(path, h)
		return m
	}, chi.URLParam, chiMatched},
	{"chi With", func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		m := chi.NewRouter()
		m.With(c.With(policy.Policy{})).Get(path, h)
		return m
	}, chi.URLParam, chiMatched},
	{"chi subrouter", func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		m := chi.NewRouter()
		m.Route("/shops/{shop}", func(sub chi.Router) {
			sub.Use(c.Handler)
			sub.Get("/items/{id}", h)
		})
		return m
	}, chi.URLParam, chiMatched},
	{"chi, with the words of net/http", func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		m := chi.NewRouter()
		m.With(c.Handler).Get(path, h)
		return m
	}, (*http.Request).PathValue, nil},
	{"around chi", func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		m := chi.NewRouter()
		m.Get(path, h)
		return c.Handler(m)
	}, chi.URLParam, chiMatched},
	{"gorilla Use", func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		m := mux.NewRouter()
		m.Use(c.Handler)
		m.HandleFunc(path, h)
		return m
	}, muxVar, muxMatched},
	{"gorilla route", func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		m := mux.NewRouter()
		m.Handle(path, c.With(policy.Policy{})(h))
		return m
	}, muxVar, muxMatched},
	{"net/http's mux", func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		m := http.NewServeMux()
		m.Handle("GET "+path, c.Handler(h))
		return m
	}, (*http.Request).PathValue, func(r *http.Request) string {
		return strings.TrimPrefix(r.Pattern, "GET ")
	}},
}

// newCache returns a cache with a store of its own, and with the options, if there are any.
func newCache(t *testing.T, options ...middleware.Options) *middleware.Cache {
	t.Helper()
	s := memstore.New(16 << 20)
	t.Cleanup(s.Close)
	return newCacheOn(t, s, options...)
}

// newCacheOn is newCache with a store that is the test's to close. Its log is silent, unless the
// options say otherwise.
func newCacheOn(t *testing.T, s store.Store, options ...middleware.Options) *middleware.Cache {
	t.Helper()
	var o middleware.Options
	if len(options) > 0 {
		o = options[0]
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := middleware.New(s, o)
	t.Cleanup(func() {
		if err := c.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func get(h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestMissThenHit(t *testing.T) {
	for _, m := range mounts {
		t.Run(m.name, func(t *testing.T) {
			c := newCache(t)
			runs := 0
			h := m.route(c, func(w http.ResponseWriter, r *http.Request) {
				runs++
				if m.matched != nil {
					want(t, "the route", m.matched(r), path)
				}
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, m.param(r, "shop"), " ", m.param(r, "id"))
			})
			for _, status := range []string{"fwd=uri-miss", "hit"} {
				for _, id := range []string{"1", "2"} {
					r := get(h, "/shops/a/items/"+id)
					want(t, "body", r.Body.String(), "a "+id)
					if s := r.Header().Get("Cache-Status"); !strings.Contains(s, status) {
						t.Errorf("Cache-Status is %q, want it to contain %q", s, status)
					}
				}
			}
			want(t, "runs", runs, 2)
		})
	}
}

// What a router keeps of a request, it uses again as soon as the request has returned. Whatever ran
// a handler later would find another request's parameters there, and store one resource's page
// under another's key. Here every page is stale at once and refreshed behind, clients read along,
// and requests past the cache keep the router busy.
func TestNoWorkOutlivesItsRequest(t *testing.T) {
	const ids, clients, rounds = 4, 8, 100
	for _, m := range mounts {
		// held back, and streamed to the client from beside
		for _, size := range []int{10, 64 << 10} {
			t.Run(fmt.Sprintf("%s, %d bytes", m.name, size), func(t *testing.T) {
				c := newCache(t)
				h := m.route(c, func(w http.ResponseWriter, r *http.Request) {
					id := m.param(r, "id")
					if id[0] == 'n' {
						w.Header().Set("Cache-Control", "no-store")
						fmt.Fprint(w, id)
						return
					}
					w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=600")
					runtime.Gosched()
					text := strings.Repeat(id, size)
					fmt.Fprint(w, text[:size/2])
					runtime.Gosched()
					fmt.Fprint(w, text[size/2:])
					if m.param(r, "id") != id || m.param(r, "shop") != "a" ||
						!strings.HasSuffix(r.URL.Path, id) {
						t.Errorf("the request changed hands while the handler had it: %s is now %s",
							id, m.param(r, "id"))
					}
				})
				var refreshes atomic.Int64
				c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					refreshes.Add(1)
					h.ServeHTTP(w, r)
				}))
				var all sync.WaitGroup
				for client := range clients {
					all.Go(func() {
						for i := 0; i < rounds || refreshes.Load() < 2*ids && i < 100*rounds; i++ {
							id := fmt.Sprint((client + i) % ids)
							if body := get(h, "/shops/a/items/"+id).Body.String(); body != strings.Repeat(id, size) {
								t.Errorf("asked for %s, got %d bytes of %.1s", id, len(body), body)
							}
							name := fmt.Sprintf("n%d-%d", client, i)
							want(t, "past the cache", get(h, "/shops/b/items/"+name).Body.String(),
								name)
						}
					})
				}
				all.Wait()
				for id := range ids { // what is stored, each under its own key
					r := get(h, fmt.Sprintf("/shops/a/items/%d", id), "Cache-Control",
						"max-stale, only-if-cached")
					want(t, "stored", r.Body.String() == strings.Repeat(fmt.Sprint(id), size), true)
				}
				if refreshes.Load() < 2*ids {
					t.Errorf("%d refreshes came in at the root: too few to show anything",
						refreshes.Load())
				}
			})
		}
	}
}
