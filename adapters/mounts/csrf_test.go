package mounts_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/csrf"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// forms are apps with a form that a token guards, and the cache inside the guard or around it. says
// is the form's Cache-Control.
var forms = []struct {
	name string
	app  func(c *middleware.Cache, p policy.Policy, says string) http.Handler
}{
	{"gorilla/csrf outside", func(c *middleware.Cache, p policy.Policy, says string) http.Handler {
		return csrf.Protect(make([]byte, 32), csrf.Secure(false))(c.With(p)(gorillaForm(says)))
	}},
	{"gorilla/csrf inside", func(c *middleware.Cache, p policy.Policy, says string) http.Handler {
		return c.With(p)(csrf.Protect(make([]byte, 32), csrf.Secure(false))(gorillaForm(says)))
	}},
	{"echo's CSRF outside", func(c *middleware.Cache, p policy.Policy, says string) http.Handler {
		return echoForm(says, echoCSRF, echocache.With(c, p))
	}},
	{"echo's CSRF inside", func(c *middleware.Cache, p policy.Policy, says string) http.Handler {
		return echoForm(says, echocache.With(c, p), echoCSRF)
	}},
}

var echoCSRF = echomiddleware.CSRFWithConfig(
	echomiddleware.CSRFConfig{TokenLookup: "form:gorilla.csrf.Token"})

func gorillaForm(says string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if says != "" {
			w.Header().Set("Cache-Control", says)
		}
		io.WriteString(w, csrf.Token(r))
	})
}

func echoForm(says string, outer, inner echo.MiddlewareFunc) http.Handler {
	e := echo.New()
	e.Use(outer, inner)
	e.Any("/form", func(c echo.Context) error {
		if says != "" {
			c.Response().Header().Set("Cache-Control", says)
		}
		return c.String(http.StatusOK, c.Get("csrf").(string))
	})
	return e
}

// Each visitor gets a token of their own, with which their form passes, and a form with another's
// does not.
func TestFormsOfTwoVisitors(t *testing.T) {
	for _, f := range forms {
		for _, says := range []string{"", "max-age=60", "public, max-age=60"} {
			t.Run(f.name+", "+says, func(t *testing.T) {
				h := f.app(newCache(t), policy.Policy{TTL: time.Minute}, says)
				alice, bob := newVisitor(h), newVisitor(h)
				for visit := range 3 {
					a, b := alice.get("/form"), bob.get("/form")
					forA, forB := a.Body.String(), b.Body.String()
					want(t, "alice's own form", alice.post("/form",
						url.Values{"gorilla.csrf.Token": {forA}}).Code, 200)
					want(t, "bob's own form",
						bob.post("/form", url.Values{"gorilla.csrf.Token": {forB}}).Code, 200)
					want(t, "bob's form with alice's token",
						bob.post("/form", url.Values{"gorilla.csrf.Token": {forA}}).Code, 403)
					if visit == 0 {
						notForSharedCaches(t, a.Header())
						notForSharedCaches(t, b.Header())
					}
				}
			})
		}
	}
}

// Those who come for the first time at the same time do not share a token either.
func TestFormsOfManyAtOnce(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			h := f.app(newCache(t), policy.Policy{TTL: time.Minute}, "max-age=60")
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					v := newVisitor(h)
					token := v.get("/form").Body.String()
					want(t, "own form", v.post("/form",
						url.Values{"gorilla.csrf.Token": {token}}).Code, 200)
				})
			}
			all.Wait()
		})
	}
}

// notForSharedCaches fails when a response that sets a cookie could be kept for others by a cache
// on its way.
func notForSharedCaches(t *testing.T, h http.Header) {
	t.Helper()
	if h.Get("Set-Cookie") == "" {
		t.Errorf("no cookie is set: %v", h)
	}
	d := rules.ParseResponseDirectives(h)
	if !d.Private && !d.NoStore {
		t.Errorf("a cookie is set, and Cache-Control is %q", h["Cache-Control"])
	}
}

// A silent page beside a new cookie says private: caches on the way may guess how long it lives.
func TestSilentPageBesideACookieIsPrivate(t *testing.T) {
	protect := csrf.Protect(make([]byte, 32), csrf.Secure(false))
	file := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "page.html", time.Now().Add(-240*time.Hour),
			strings.NewReader("page"))
	})
	for name, app := range map[string]func(c *middleware.Cache) http.Handler{
		"a route without a cache, in Guard": func(c *middleware.Cache) http.Handler {
			return c.Guard(protect(file))
		},
		"a route that obeys": func(c *middleware.Cache) http.Handler {
			return protect(c.Handler(file))
		},
		"a route that obeys, CSRF inside": func(c *middleware.Cache) http.Handler {
			return c.Handler(protect(file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := get(app(newCache(t)), "/page.html")
			want(t, "a cookie", len(w.Header()["Set-Cookie"]), 1)
			want(t, "Cache-Control", w.Header().Get("Cache-Control"), "private")
		})
	}
}

// A policy that ignores the cookie of a token makes one visitor's form everybody's. The log says so
// at the first form.
func TestIgnoredCookieOfAnOuterHandlerIsLogged(t *testing.T) {
	m := newSessions()
	session := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "n", "1")
		io.WriteString(w, "page")
	})
	token := func(mount wrapper) http.Handler {
		return csrf.Protect(make([]byte, 32), csrf.Secure(false))(mount(gorillaForm("")))
	}
	cookie := func(mount wrapper) http.Handler { return m.LoadAndSave(mount(session)) }
	for _, s := range []struct {
		name   string
		ignore []string
		app    func(mount wrapper) http.Handler
		lines  int
	}{
		{"gorilla/csrf", []string{"_ga*", "_gorilla_*"}, token, 1},
		{"gorilla/csrf, and another cookie", policy.AnalyticsCookies(), token, 0},
		{"scs", []string{"session"}, cookie, 1},
		{"scs, and another cookie", policy.AnalyticsCookies(), cookie, 0},
	} {
		t.Run(s.name, func(t *testing.T) {
			c, log := newLoggedCache(t)
			h := s.app(c.With(policy.Policy{TTL: time.Minute, IgnoreCookies: s.ignore}))
			for range 3 {
				want(t, "Set-Cookie", get(h, "/").Header().Get("Set-Cookie") != "", true)
			}
			want(t, "lines", strings.Count(log.String(), "IgnoreCookies"), s.lines)
		})
	}
}
