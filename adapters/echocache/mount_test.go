package echocache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// Wherever echo lets a middleware be mounted, the second request does not reach the handler.
func TestMounts(t *testing.T) {
	for _, mount := range []struct {
		name string
		at   func(a *app, h echo.HandlerFunc)
	}{
		{"Pre", func(a *app, h echo.HandlerFunc) {
			a.Pre(echocache.Middleware(a.cache))
			a.GET("/v/:id", h)
		}},
		{"Use", func(a *app, h echo.HandlerFunc) {
			a.Use(echocache.Middleware(a.cache))
			a.GET("/v/:id", h)
		}},
		{"group", func(a *app, h echo.HandlerFunc) {
			a.Group("/v", echocache.Middleware(a.cache)).GET("/:id", h)
		}},
		{"route", func(a *app, h echo.HandlerFunc) {
			a.GET("/v/:id", h, echocache.With(a.cache, policy.Policy{}))
		}},
		{"twice", func(a *app, h echo.HandlerFunc) {
			a.Use(echocache.Middleware(a.cache))
			a.GET("/v/:id", h, echocache.With(a.cache, policy.Policy{}))
		}},
		{"as net/http middleware", func(a *app, h echo.HandlerFunc) {
			a.GET("/v/:id", h, echo.WrapMiddleware(a.cache.Handler))
		}},
	} {
		t.Run(mount.name, func(t *testing.T) {
			o := middleware.Options{}
			if mount.name == "as net/http middleware" { // which echo makes anew for each request
				o.Route = func(*http.Request) string { return "echo" }
			}
			a := newApp(t, o)
			mount.at(a, a.counted(func(c echo.Context) error {
				return page(c.Path() + " " + c.Param("id"))(c)
			}))
			for _, cached := range []string{"stored", "hit"} {
				for _, id := range []string{"1", "2"} {
					r := a.ask("GET", "/v/"+id)
					want(t, "body", r.Body.String(), "/v/:id "+id)
					cacheStatus(t, r.Header(), cached)
				}
			}
			want(t, "runs", a.runs.Load(), 2)
		})
	}
}

// A policy's functions know requests: they find echo's route and parameters there, and the request
// is what it was when it leaves the cache.
func TestPolicyByRoute(t *testing.T) {
	expires, err := policy.NewExpires([]string{"record"},
		policy.ExpirySetting{Name: "record", TTL: time.Minute},
		policy.ExpirySetting{Name: "blog.record", TTL: 0},
		policy.ExpirySetting{Name: "blog.posts.record", TTL: 30 * time.Second},
	)
	if err != nil {
		t.Fatal(err)
	}
	record := &policy.Policy{Resource: "record", Scope: func(r *http.Request) []string {
		return []string{r.PathValue("bucket"), r.PathValue("collection")}
	}}
	a := newApp(t, middleware.Options{Expires: expires,
		Policy: func(r *http.Request) *policy.Policy {
			if strings.HasPrefix(r.Pattern, "/buckets/:bucket/") {
				return record
			}
			return nil
		}})
	a.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Request().Pattern = "outside"
			err := next(c)
			want(t, "the pattern afterwards", c.Request().Pattern, "outside")
			return err
		}
	}, echocache.Middleware(a.cache))
	a.GET("/buckets/:bucket/collections/:collection/records/:id",
		a.counted(func(c echo.Context) error {
			return c.String(http.StatusOK, c.Param("id"))
		}))
	a.GET("/version", a.counted(func(c echo.Context) error { return c.String(http.StatusOK, "1") }))
	for _, story := range []struct{ target, control string }{
		{"/buckets/shop/collections/posts/records/1", "max-age=60"},
		{"/buckets/blog/collections/users/records/1", "no-cache, no-store"},
		{"/buckets/blog/collections/posts/records/1", "max-age=30"},
		{"/version", ""},
	} {
		want(t, story.target, a.ask("GET", story.target).Header().Get("Cache-Control"),
			story.control)
	}
}

// Each function of the operator's that is given a request finds the route there, whichever of them
// there are.
func TestFunctionsFindTheRoute(t *testing.T) {
	var found string
	look := func(r *http.Request) { found = r.Pattern + " " + r.PathValue("id") }
	settings, _ := policy.NewExpires([]string{"record"})
	whole := func(a *app) echo.MiddlewareFunc { return echocache.Middleware(a.cache) }
	route := func(p policy.Policy) func(a *app) echo.MiddlewareFunc {
		return func(a *app) echo.MiddlewareFunc { return echocache.With(a.cache, p) }
	}
	observed := middleware.Options{Observe: func(r *http.Request, _ middleware.Event) { look(r) }}
	for name, s := range map[string]struct {
		options middleware.Options
		use     func(a *app) echo.MiddlewareFunc
	}{
		"Options.Policy": {middleware.Options{
			Policy: func(r *http.Request) *policy.Policy { look(r); return nil },
		}, whole},
		"Options.Observe":             {observed, whole},
		"Options.Observe, of a route": {observed, route(policy.Policy{})},
		"Policy.Scope": {middleware.Options{Expires: settings}, route(policy.Policy{
			Resource: "record", Scope: func(r *http.Request) []string { look(r); return nil },
		})},
		"Policy.Credentials": {middleware.Options{}, route(policy.Policy{
			Credentials: func(r *http.Request) bool { look(r); return false },
		})},
		"KeyOptions.Replace": {middleware.Options{}, route(policy.Policy{
			Key: policy.KeyOptions{Replace: func(r *http.Request) string { look(r); return "" }},
		})},
	} {
		t.Run(name, func(t *testing.T) {
			found = ""
			a := newApp(t, s.options)
			a.GET("/notes/:id", a.counted(func(c echo.Context) error {
				return c.NoContent(http.StatusOK)
			}), s.use(a))
			a.ask("GET", "/notes/7")
			want(t, "found", found, "/notes/:id 7")
		})
	}
}

// A mount of a route inside one of the app asks its functions of the app's request, too: a lifetime
// that depends on the route is the same whichever way the route is mounted, and whether anything
// else looks at requests.
func TestAnInnerMountFindsTheRoute(t *testing.T) {
	expires, err := policy.NewExpires([]string{"record"},
		policy.ExpirySetting{Name: "record", TTL: time.Hour},
		policy.ExpirySetting{Name: "blog.record", TTL: 10 * time.Second},
		policy.ExpirySetting{Name: "off.record", TTL: 0},
	)
	if err != nil {
		t.Fatal(err)
	}
	record := policy.Policy{Resource: "record",
		Scope: func(r *http.Request) []string { return []string{r.PathValue("bucket")} }}
	for name, inner := range map[string]func(a *app) echo.MiddlewareFunc{
		"echo's": func(a *app) echo.MiddlewareFunc { return echocache.With(a.cache, record) },
		"net/http's": func(a *app) echo.MiddlewareFunc {
			return echo.WrapMiddleware(a.cache.With(record))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, middleware.Options{Expires: expires})
			a.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					err := next(c)
					want(t, "the pattern afterwards", c.Request().Pattern, "")
					return err
				}
			}, echocache.Middleware(a.cache))
			a.GET("/buckets/:bucket/:id", a.counted(func(c echo.Context) error {
				want(t, "the handler's request", c.Request().Pattern+" "+
					c.Request().PathValue("bucket"),
					"/buckets/:bucket/:id "+c.Param("bucket"))
				return c.String(http.StatusOK, c.Param("id"))
			}), inner(a))
			for _, story := range []struct {
				bucket, control string
				runs            int64 // of two requests
			}{{"shop", "max-age=3600", 1}, {"blog", "max-age=10", 1}, {"off", "no-cache, no-store",
				2}} {
				before := a.runs.Load()
				for range 2 {
					want(t, story.bucket,
						a.ask("GET", "/buckets/"+story.bucket+"/1").Header().Get("Cache-Control"),
						story.control)
				}
				want(t, story.bucket+": runs", a.runs.Load()-before, story.runs)
			}
		})
	}
}

// One Cache behind many routes: an unsafe request on one invalidates what another stored.
func TestSharedByRoutes(t *testing.T) {
	a := newApp(t)
	with := echocache.With(a.cache, policy.Policy{TTL: time.Hour})
	h := a.counted(func(c echo.Context) error {
		return c.String(http.StatusOK, c.Request().Method)
	})
	a.GET("/note", h, with)
	a.PUT("/note", h, with)
	for _, step := range []struct {
		method string
		runs   int64
	}{{"GET", 1}, {"GET", 1}, {"PUT", 2}, {"GET", 3}, {"GET", 3}} {
		want(t, "body", a.ask(step.method, "/note").Body.String(), step.method)
		want(t, step.method+": runs", a.runs.Load(), step.runs)
	}
}

// A route's mount inside the app's governs the route, as the package's documentation shows it.
func TestRouteInsideApp(t *testing.T) {
	a := newApp(t)
	a.Use(echocache.Middleware(a.cache))
	silent := a.counted(func(c echo.Context) error { return c.String(http.StatusOK, "now") })
	a.GET("/now", silent, echocache.With(a.cache, policy.Policy{TTL: time.Minute}))
	a.GET("/never", silent)
	for _, step := range []struct {
		target, control string
		runs            int64
	}{{"/now", "max-age=60", 1}, {"/now", "max-age=60", 1}, {"/never", "", 2}, {"/never", "", 3}} {
		r := a.ask("GET", step.target)
		want(t, step.target, r.Body.String(), "now")
		want(t, step.target+": Cache-Control", r.Header().Get("Cache-Control"), step.control)
		want(t, step.target+": Cache-Status", len(r.Header()["Cache-Status"]), 1)
		want(t, step.target+": runs", a.runs.Load(), step.runs)
	}
}
