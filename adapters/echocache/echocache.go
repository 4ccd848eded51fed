// Package echocache mounts a [middleware.Cache] in echo v4: on the whole app with Pre or Use, on a
// group, or on one route.
//
//	cache := freshet.New(memstore.New(64<<20), freshet.Options{})
//	e := echo.New()
//	e.Use(echocache.Middleware(cache))
//	e.GET("/now", now, echocache.With(cache, freshet.Policy{TTL: time.Minute}))
//	http.ListenAndServe(addr, cache.Root(e))
//
// What runs inside the cache, that is the handler and the middlewares mounted after it, does not
// run on a hit. What must run for each request, such as a logger or a check of who asks, goes
// outside: mount it before.
//
// Where routing has come before (Use, groups and routes, but not Pre), Options.Policy,
// Options.Observe, Policy.Scope and the other functions of a policy find echo's route in r.Pattern
// ("/buckets/:bucket") and its parameters in r.PathValue("bucket"), the same words that net/http
// and chi have for them.
package echocache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

const noCache = "the cache is nil: make it with freshet.New(memstore.New(64<<20), " +
	"freshet.Options{}), or with another store"

// Middleware caches the responses of what it wraps, with the policies that Options.Policy chooses.
// It panics at start when c is nil.
//
// An error that the handler returns becomes its page (Echo.HTTPErrorHandler) inside, so that the
// page is judged, shared and stored as any response is. The middlewares outside get the error as
// well, with Response.Committed set, as echo's own do after a call of Context.Error. A middleware
// inside may have the page made as well, by Context.Error or Echo.HTTPErrorHandler, and return the
// error, as echo's RequestLogger does. Any other error that comes after the response has begun
// means that it broke off: what there is of it is not stored, and no client takes it for whole. A
// stale response stands in for it, where one may; else the error's page does, while nothing has
// gone out (up to middleware.HoldBack bytes, not flushed); else the connection is aborted.
//
// echo's Timeout (which is deprecated; ContextTimeout is not concerned) throws away what was
// written where it gets an error. Outside of the cache it gets none for an error that has its page,
// and neither do the middlewares around it.
func Middleware(c *middleware.Cache) echo.MiddlewareFunc {
	if c == nil {
		panic("echocache: Middleware: " + noCache)
	}
	return mount(c.Mount("echocache", nil))
}

// With is Middleware for one route or group: p governs every request that passes through it,
// whatever Options.Policy says. The store and the fills are shared with the Cache's other mounts.
func With(c *middleware.Cache, p policy.Policy) echo.MiddlewareFunc {
	if c == nil {
		panic("echocache: With: " + noCache)
	}
	c.With(p)
	return mount(c.Mount("echocache", &p))
}

// mount makes a middleware of a mount of the cache. A request knows its route beforehand where
// functions of the app look at it, and otherwise when the handler runs, where an inner mount or a
// handler of net/http's looks at it: that makes a map, which a hit can do without.
func mount(m *middleware.Mount) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			v := &visit{next: next, client: client{c: c, outer: c.Response()}}
			r := c.Request()
			defer func(before string) { r.Pattern = before }(r.Pattern)
			if v.described = m.Asks(); v.described {
				describe(r, c)
			}
			m.Within(c.Echo(), func() string { return routesOf(c.Echo()) }).Serve(&v.client, r, v)
			// one that broke off has panicked, or told the run around
			if v.client.finish(v.err != nil); v.err != nil {
				c.Set(answeredKey, v.client.outer)
				if outer := v.client.outer; outer.Committed && throwsErrorsAway(outer.Writer) {
					return nil
				}
			}
			return v.err
		}
	}
}

// routesOf tells one app from another in all processes: by what it answers, and the names of the
// handlers that do.
func routesOf(e *echo.Echo) string {
	var all []string
	for host, router := range e.Routers() {
		for _, r := range router.Routes() {
			all = append(all, fmt.Sprintf("%q", []string{host, r.Method, r.Path, r.Name}))
		}
	}
	for _, r := range e.Routes() {
		all = append(all, fmt.Sprintf("%q", []string{"", r.Method, r.Path, r.Name}))
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return hex.EncodeToString(sum[:8])
}

// describe tells the policy's functions, which know requests and not echo, where echo routed r.
func describe(r *http.Request, c echo.Context) {
	path := c.Path()
	if path == "" {
		return // in Pre: not routed yet
	}
	r.Pattern = path
	values := c.ParamValues()
	for i, name := range c.ParamNames() {
		r.SetPathValue(name, values[i])
	}
}

// visit is one request's visit to the cache: the handler that the cache runs, in the goroutine of
// the request, and the client that it answers.
type visit struct {
	next   echo.HandlerFunc
	err    error
	client client

	described bool // the request knows its route
	beginning beginning
}

// ServeHTTP runs echo's handler with the Context lent to it: its request and its response are the
// ones of the fill. They are given back however the handler ends, since the Context goes back to
// echo's pool and keeps its own Response for the next request.
func (v *visit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := v.client.c
	before, outer := c.Request(), c.Response()
	if !v.described {
		describe(before, c) // by which an inner mount's policy is asked of the outer one's run
		describe(r, c)
	}
	defer func() { c.SetRequest(before); c.SetResponse(outer) }()
	inner := echo.NewResponse(w, c.Echo())
	inner.Status = http.StatusOK // as in a Response of echo's own that has not been written to
	c.SetRequest(r)
	c.SetResponse(inner)
	byFetchSite := usesFetchSite(c)
	inner.Before(func() {
		v.beginning.note(c, inner)
		if !byFetchSite && usesFetchSite(c) {
			inner.Header().Add("Vary", "Sec-Fetch-Site")
		}
	})

	v.err = v.next(c)
	if v.err == nil || v.answer(inner) {
		return
	}
	// It failed in the middle of its response, or its error has no page: either way this is no
	// answer to store, and a stale one may stand in for it.
	middleware.FromContext(r.Context()).Fail(v.err)
	if held, ok := w.(interface{ TakeBack() bool }); ok && held.TakeBack() {
		c.SetResponse(echo.NewResponse(w, c.Echo()))
		c.Error(v.err) // nothing has gone out, so the client gets the error's page, and no half
	}
}

// answer has the handler's error answered in inner, and reports whether it is.
func (v *visit) answer(inner *echo.Response) bool {
	c := v.client.c
	if inner.Committed {
		return v.answered(inner, v.err)
	}
	c.Error(v.err)
	return inner.Committed
}

// usesFetchSite reports whether echo's CSRF has let a client do without a token that says where its
// requests come from, in Sec-Fetch-Site. Inside of the cache its page is for such clients alone: it
// has a word in the place of the token, which no other client's form gets past CSRF with.
func usesFetchSite(c echo.Context) bool {
	token, _ := c.Get("csrf").(string)
	return token == csrfUsingSecFetchSite
}

// csrfUsingSecFetchSite is the value that echo/middleware has a constant for.
const csrfUsingSecFetchSite = "_echo_csrf_using_sec_fetch_site_"
