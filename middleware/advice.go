package middleware

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// advice is what the log says, once each, of how the cache is wired: what works, but hardly as it
// was meant.
type advice struct {
	said    sync.Map // texts
	writers atomic.Int64
	beside  atomic.Bool // see adviseOnBeside
	scope   atomic.Bool // see adviseOnScope

	ignoring sync.Map     // policies that ignore cookies, at most maxIgnoring
	ignorers atomic.Int32 // how many
	set      atomic.Int32 // lines of adviseOnSet
	outside  atomic.Int32 // calls of adviseOnIgnored with a cookie
}

// warn logs a warning, the first time that it is given it.
func (c *Cache) warn(text string) { c.say(slog.LevelWarn, text) }

// say logs a line, with args, the first time that it is given its text.
func (c *Cache) say(level slog.Level, text string, args ...any) {
	if _, before := c.advice.said.LoadOrStore(text, true); !before {
		c.options.Log.Log(context.Background(), level, "freshet: "+text, args...)
	}
}

// advise looks at a policy when it is first seen: at its mount or, when Options.Policy chooses it,
// at its first request.
func (c *Cache) advise(p *policy.Policy) {
	if p.TTL < 0 {
		c.warn(fmt.Sprintf("a policy's TTL is %v: a negative lifetime is none, as 0 is; to keep "+
			"responses out of the cache, set Off", p.TTL))
	}
	if p.TTL > 0 && p.TTL < time.Millisecond {
		c.warn(fmt.Sprintf("a policy's TTL is %v, within which no request comes a second time: a "+
			"number without a unit counts "+
			"nanoseconds; write %d * time.Second", p.TTL, p.TTL.Nanoseconds()))
	}
	for _, wrong := range wrongs(p) { // of one that Options.Policy chooses: a mount with it panics
		c.warn(wrong)
	}
	if p.Shared && p.StoreCookies {
		c.warn("a policy is Shared and has StoreCookies: every client gets the cookies that the " +
			"first response set; drop one of the two")
	}
	if p.CDNTTL > 0 && c.options.OnInvalidate != nil && p.SendTags == nil &&
		(len(p.Tags) > 0 || p.TagsOf != nil) {
		c.warn("a policy has a CDNTTL and tags, and no SendTags: a cache in front does not know the " +
			"tags, and a purge of one leaves the page there; name the field that it reads in SendTags")
	}
	if p.Key.Replace != nil && !c.under().replacesAs(p) {
		c.warn(fmt.Sprintf("policies have more than %d different functions as Key.Replace: "+
			"InvalidateURL and changes do not reach what the others make keys of; "+
			"let policies share a function, or tag their responses and invalidate the tags",
			maxReplaces))
	}
	if (len(p.IgnoreCookies) > 0 || p.KeepCookies != nil) && c.advice.ignorers.Load() < maxIgnoring {
		c.advice.ignorers.Add(1)
		c.advice.ignoring.Store(p, true)
	}
	c.expires.name(p.Resource)
	c.adviseOnResource(p)
	c.adviseOnRoom(p)
}

func (c *Cache) adviseOnResource(p *policy.Policy) {
	switch setting, now := p.Resource+policy.ExpirySuffix, c.expires.now.Load(); {
	case p.Resource == "":
	case now == nil:
		c.warn(fmt.Sprintf("a policy's resource is %q, but Options.Expires is nil, so that no "+
			"setting reaches it: load the settings into Options.Expires", p.Resource))
	case !now.Knows(p.Resource):
		c.warn(fmt.Sprintf("a policy's resource %q is none of those that Options.Expires was "+
			"made for, so that no setting reaches it: correct its name, or name it when the "+
			"settings are loaded", p.Resource))
	case p.TTL <= 0 && !now.Sets(p.Resource):
		c.warn(fmt.Sprintf("no setting names a lifetime for the resource %q, and its policy has "+
			"no TTL, so that its responses are stored only if they name one: set %s, or Policy.TTL",
			p.Resource, setting))
	}
}

// adviseOnScope says what it mostly means that a policy's Scope names no parent where settings do.
func (x *exchange) adviseOnScope(settings *policy.Expires) {
	if x.c.advice.scope.Load() || !settings.Narrows(x.p.Resource) || x.c.advice.scope.Swap(true) {
		return
	}
	x.c.options.Log.Warn(fmt.Sprintf("freshet: the Scope of a policy for the resource %q names "+
		"no parent (its first name is empty), so that no setting "+
		"below one applies, one of 0 neither: PathValue is empty in a mount outside of the "+
		"router, and where the route has no "+
		"such name. Mount the policy on the route, or let Scope read r.URL.Path; a route that "+
		"has no parents wants a policy without Scope",
		x.p.Resource), "path", x.r.URL.Path)
}

// adviseOnRoom compares what the store keeps with what the policy lets be stored. Nobody chose the
// default of MaxBody, so that what falls short of it may well be meant.
func (c *Cache) adviseOnRoom(p *policy.Policy) {
	allowed, wanted, chosen := p.MaxBody, p.MaxBody, ""
	if p.MaxBody <= 0 || p.MaxBody == rules.DefaultMaxBody {
		allowed, wanted, chosen = rules.DefaultMaxBody, rules.DefaultMaxBody/4, ", the default"
	}
	if most := c.room.most; most < wanted-wanted/8 {
		c.warn(fmt.Sprintf("the store keeps responses of up to %d bytes, and a policy's MaxBody "+
			"is %d bytes%s: "+
			"greater ones than the store keeps are made for each request anew; give the store "+
			"more room (memstore.New: four times MaxBody), "+
			"or lower MaxBody", max(most, 0), allowed, chosen))
	}
}

// adviseOnRoot says what stale-while-revalidate, early refreshes and bounds on waiting do without
// Root.
func (x *exchange) adviseOnRoot() {
	if x.p.StaleWhileRevalidate > 0 && x.c.root.Load() == nil && x.c.options.MaxRefreshes > 0 {
		x.c.warn(fmt.Sprintf("a policy has StaleWhileRevalidate (%v), but the app is not served "+
			"through Cache.Root, so that the first client to find a page stale waits for the new "+
			"one: "+
			"serve it so: http.ListenAndServe(addr, cache.Root(app))",
			x.p.StaleWhileRevalidate.Truncate(time.Second)))
	}
	if (x.p.EagerRefresh > 0 || x.p.XFetch > 0) && x.c.root.Load() == nil &&
		x.c.options.MaxRefreshes > 0 {
		x.c.warn("a policy has EagerRefresh or XFetch, but the app is not served through " +
			"Cache.Root, so that nothing is refreshed before it is stale: serve it so: " +
			"http.ListenAndServe(addr, cache.Root(app))")
	}
	if x.p.SoftTimeout+x.p.HardTimeout > 0 && x.c.root.Load() == nil {
		x.c.warn(fmt.Sprintf("a policy has a SoftTimeout (%v) or a HardTimeout (%v), but the app is "+
			"not served through Cache.Root, so that a request waits for its own run of the handler "+
			"all the same: serve it so: http.ListenAndServe(addr, cache.Root(app))",
			x.p.SoftTimeout, x.p.HardTimeout))
	}
}

// lookedAt is how many clients' writers are looked at: a compressor wraps those who take what it
// makes, or all.
const lookedAt = 64

// adviseOnWriter says what a compressor or a time limit around the cache costs. A compressor is
// seen by what it has put into the header before, or by the writer that it made.
func (x *exchange) adviseOnWriter() {
	if x.c.advice.writers.Load() >= lookedAt || x.c.advice.writers.Add(1) > lookedAt {
		return
	}
	g := x.gate()
	unguarded := g == nil || g.inner
	if compresses(x.w) {
		text := "the cache is mounted inside a compressor, which compresses every hit anew: " +
			"mount the compressor inside the cache, so that what it made is stored"
		if unguarded {
			text += "; or serve the app through Cache.Root, since a compressor can hide from the " +
				"cache " +
				"the cookies of sessions outside of it, so that others get a session's page"
		}
		x.c.warn(text)
	}
	if unguarded && wrapped(x.w, limitsTime) {
		x.c.warn("the cache is mounted inside http.TimeoutHandler, which hides from it the " +
			"cookies of sessions outside, and what handlers there say in Vary and Cache-Control, " +
			"so that others may get a session's page: set Policy.Timeout in its place, mount it " +
			"inside the cache, " +
			"or serve the app through Cache.Root")
	}
}

func compresses(w http.ResponseWriter) bool {
	h := w.Header()
	if len(h["Content-Encoding"]) > 0 {
		return true
	}
	for _, line := range h["Vary"] {
		if lists(line, "Accept-Encoding") {
			return true
		}
	}
	return wrapped(w, func(t reflect.Type) bool {
		name := strings.ToLower(t.String())
		return strings.Contains(name, "compress") || strings.Contains(name, "gzip")
	})
}

// limitsTime reports whether t is the writer of http.TimeoutHandler, which has a header of its own.
func limitsTime(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "net/http" && t.Name() == "timeoutWriter"
}

// wrapped reports whether the type of w is one, or that of a writer which w wraps.
func wrapped(w http.ResponseWriter, one func(reflect.Type) bool) bool {
	for w != nil {
		if one(reflect.TypeOf(w)) {
			return true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapper.Unwrap()
	}
	return false
}

// adviseOnIgnored says what it means that a handler outside sets a cookie which the policy ignores:
// the handler reads it, and what it makes of it, such as a form's token, may be in the page.
func (x *exchange) adviseOnIgnored(cookie string) {
	said := &x.c.advice.outside
	if cookie == "" || said.Load() >= maxIgnoring || said.Add(1) > maxIgnoring {
		return // clients may choose the names, as by the page that viewed_PAGE is of
	}
	x.c.say(slog.LevelError, ignoredOutside(cookie), "path", x.r.URL.Path)
}

func ignoredOutside(cookie string) string {
	return fmt.Sprintf("a policy ignores the cookie %q, which a handler outside the cache sets: "+
		"a page behind that handler may hold what belongs to the cookie, such as the token of a "+
		"form, and others may get it. Take the cookie out of Policy.IgnoreCookies on the routes "+
		"behind that handler", cookie)
}

// maxIgnoring bounds the policies that adviseOnSet looks at, and its lines.
const maxIgnoring = 16

// adviseOnSet says what it may mean that the app sets a cookie, on whatever route, which a policy
// ignores: a login's handler, say, outside of the policy's mount. The pages of that policy are then
// made without it. h is the header of a response that goes out with cookies.
func (c *Cache) adviseOnSet(h http.Header) {
	if c.advice.ignorers.Load() == 0 || c.advice.set.Load() >= maxIgnoring {
		return
	}
	c.advice.ignoring.Range(func(p, _ any) bool {
		cookie := rules.SetsIgnoredCookie(h, p.(*policy.Policy))
		if cookie == "" {
			return true
		}
		if _, before := c.advice.said.Load(ignoredOutside(cookie)); before {
			return false
		}
		text := fmt.Sprintf("the app sets the cookie %q, which a policy ignores: on the routes of that "+
			"policy handlers do not see it, and a client that has it gets the page of those that "+
			"have not. If these pages depend on it, take it out of Policy.IgnoreCookies, or name it in "+
			"KeepCookies; else all is well", cookie)
		if _, before := c.advice.said.Load(text); !before {
			c.advice.set.Add(1)
			c.say(slog.LevelInfo, text)
		}
		return false
	})
}

// adviseOnBeside says what it may mean that a handler outside sets a cookie beside a page that is
// for everybody.
func (x *exchange) adviseOnBeside() {
	if !x.outside.Beside || x.c.advice.beside.Load() || x.c.advice.beside.Swap(true) {
		return
	}
	x.c.options.Log.Warn("freshet: a handler outside the cache sets a cookie beside a page that "+
		"is stored for everybody (Policy.Shared or "+
		"StoreCookies): a page that holds what belongs to the cookie, such as the token of a "+
		"form, is stored with the first "+
		"visitor's. If no such page does, all is well; else drop Shared and StoreCookies on the "+
		"routes behind that handler",
		"path", x.r.URL.Path)
}

// warnOfHeld says what keeps a response's header back until the request has ended mostly means.
func (c *Cache) warnOfHeld() {
	c.warn("the header of a response went out so late that the cache could not see whether a " +
		"cookie is in it, " +
		"so the response was kept from others: mount compressors, time limits and whatever else " +
		"holds headers back inside the cache")
}

// warnOfGuard says what a Guard does not see that is not outermost.
func (c *Cache) warnOfGuard(w http.ResponseWriter) {
	c.say(slog.LevelWarn, "Cache.Root (or Cache.Guard) is not outermost: a handler outside of it "+
		"wraps the client's writer "+
		"and may hold the header back, or set a cookie that it does not see: serve the whole "+
		"app, with all that wraps it, "+
		"through one Cache.Root", "writer", reflect.TypeOf(w).String())
}

// warnOfNonce says what a nonce outside costs.
func (c *Cache) warnOfNonce() {
	c.warn("a handler outside the cache sets a Content-Security-Policy with a nonce, which pages " +
		"hold as well, so that requests pass: " +
		"set it on the routes whose pages have scripts of their own; or, if a page does not hold " +
		"it, set Policy.Shared")
}

// warnOfNothing says what a handler that wrote nothing at all mostly means.
func (c *Cache) warnOfNothing() {
	c.warn("a handler returned without having written anything, so its empty 200 is not stored: " +
		"where handlers return errors, " +
		"mount the cache with its framework's adapter (echo: adapters/echocache, not " +
		"echo.WrapMiddleware), which sees their pages; " +
		"a page that is empty on purpose says so with WriteHeader or Cache-Control")
}
