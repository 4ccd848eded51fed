// Package gorillacache tells a [middleware.Cache] which route of gorilla/mux a request took.
//
// A router of gorilla/mux makes the handlers of its Use anew for each request, and may choose among
// routes of one URL by header fields. So the cache cannot tell by itself whose page is whose:
//
//	r := mux.NewRouter()
//	cache := freshet.New(memstore.New(64 << 20), freshet.Options{Route: gorillacache.Route(r)})
//	r.Use(cache.Handler, logging)
//	http.ListenAndServe(addr, cache.Root(r))
//
// Mounts of single routes, as in r.Handle("/now", cache.With(p)(now)), need none of this.
package gorillacache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gorilla/mux"
)

// Route returns a function for Options.Route. It names the route of a request by its place in the
// first of the routers that has it, by what all of their routes match and are handled by, and by
// the name that the route was given, if any. That is the same in all processes of an app; one with
// another route, or with the same routes in another order, begins with misses. Routes of one
// template that only functions, header fields or closures of one function tell apart must be
// registered in the same order in all builds. A request that none of the routers has matched has no
// name.
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
	all := sha256.New()
	for i, router := range t.routers {
		n := 0
		router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
			if _, known := names[route]; !known {
				names[route] = fmt.Sprintf("%d/%d %s", i, n, route.GetName())
			}
			fmt.Fprintf(all, "%d/%d %q\n", i, n, describe(route))
			n++
			return nil
		})
	}
	sum := hex.EncodeToString(all.Sum(nil)[:8])
	for route, name := range names {
		names[route] = sum + " " + name
	}
	t.names.Store(&names)
	return names
}

// describe returns what is known of a route: what it matches, as far as it tells, and what handles
// it.
func describe(route *mux.Route) []string {
	path, _ := route.GetPathTemplate()
	host, _ := route.GetHostTemplate()
	methods, _ := route.GetMethods()
	queries, _ := route.GetQueriesTemplates()
	handler := fmt.Sprintf("%T", route.GetHandler())
	if v := reflect.ValueOf(route.GetHandler()); v.Kind() == reflect.Func {
		handler = runtime.FuncForPC(v.Pointer()).Name()
	}
	return []string{route.GetName(), host, path, strings.Join(methods, " "), strings.Join(queries,
		"&"), handler}
}
