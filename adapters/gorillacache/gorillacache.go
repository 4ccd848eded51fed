// Package gorillacache tells a [middleware.Cache] which route of gorilla/mux a request took.
//
// A router of gorilla/mux makes the handlers of its Use anew for each request, and may choose among routes of
// one URL by header fields. So the cache cannot tell by itself whose page is whose:
//
//	r := mux.NewRouter()
//	cache.Root = r
//	cache.Route = gorillacache.Route(r)
//	r.Use(cache.Handler, logging)
//
// Mounts of single routes, as in r.Handle("/now", cache.With(p)(now)), need none of this.
package gorillacache

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/gorilla/mux"
)

// Route returns a function for Cache.Route. It names the route of a request by its place in the first of
// the routers that has it, which is the same in all processes of an app that registers its routes in the same
// order, and by the name that the route was given, if any. A request that none of the routers has matched
// has no name.
func Route(routers ...*mux.Router) func(*http.Request) string {
	t := &table{routers: routers}
	t.names.Store(&map[*mux.Route]string{})
	return func(r *http.Request) string { return t.name(mux.CurrentRoute(r)) }
}

// table knows the routes by name. Routes may be added while it is used.
type table struct {
	routers []*mux.Router
	mu      sync.Mutex // of those who read the routers anew
	names   atomic.Pointer[map[*mux.Route]string]
}

func (t *table) name(route *mux.Route) string {
	if route == nil {
		return ""
	}
	name, known := (*t.names.Load())[route]
	if !known {
		name = t.read()[route]
	}
	return name
}

// read reads all routers.
func (t *table) read() map[*mux.Route]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := map[*mux.Route]string{}
	for i, router := range t.routers {
		n := 0
		router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
			if _, known := names[route]; !known {
				names[route] = fmt.Sprintf("%d/%d %s", i, n, route.GetName())
			}
			n++
			return nil
		})
	}
	t.names.Store(&names)
	return names
}
