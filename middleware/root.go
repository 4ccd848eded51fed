package middleware

import (
	"fmt"
	"net/http"
	"reflect"
)

// Root registers the app's outermost handler, and returns what to serve:
//
//	http.ListenAndServe(addr, cache.Root(app))
//
// A refresh in the background enters at app, as a fresh request that has the header fields of the
// one that caused it and holds nothing else of it. One that came to an http.Server with another
// Handler enters there, so that each of several apps has its own. Without Root there are no
// refreshes in the background: the first client that asks during stale-while-revalidate waits for
// its refresh, and all others meanwhile get the stale response at once.
//
// What Root returns serves app in a guard, as [Cache.Guard] makes it: pages with a cookie that is
// set late stay their client's own. An app that changes where no cache is mounted has
// [Cache.Changes] inside: cache.Root(cache.Changes(mux)).
//
// Root may be called before mounts are made, after, and while the Cache serves. It panics when app
// is nil, and when another handler has been registered. The same handler gets the same answer.
func (c *Cache) Root(app http.Handler) http.Handler {
	if noHandler(app) {
		panic("freshet: Cache.Root: the app is nil: give it the app's outermost handler, " +
			"as in http.ListenAndServe(addr, cache.Root(mux))")
	}
	root := &guard{c: c, next: app}
	if c.root.CompareAndSwap(nil, root) {
		return root
	}
	root = c.root.Load()
	if root != app && !sameHandler(root.next, app) {
		panic(fmt.Sprintf("freshet: Cache.Root: %T is a second root, and the Cache has %T: "+
			"call Root once, with the app's outermost handler; wrap a further app in Cache.Guard, "+
			"and serve it by an http.Server of its own", app, root.next))
	}
	return root
}

// refreshes reports whether there are refreshes in the background.
func (c *Cache) refreshes() bool {
	return c.root.Load() != nil && c.options.MaxRefreshes > 0 && !c.options.ReadOnly
}

// rootOf returns the outermost handler of the app that r came by: of several servers, the one's
// that r came to. Another app, an admin's say, must not see the request. A guard there does nothing
// for a refresh.
func (c *Cache) rootOf(r *http.Request) http.Handler {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil || server.Handler == nil {
		return c.root.Load()
	}
	return server.Handler
}

// noHandler reports whether h is nil, or a function that is.
func noHandler(h http.Handler) bool {
	if h == nil {
		return true
	}
	v := reflect.ValueOf(h)
	return v.Kind() == reflect.Func && v.IsNil()
}

// sameHandler reports whether two handlers are the same.
func sameHandler(one, two http.Handler) bool {
	key := identified(one)
	return key != nil && key == identified(two)
}
