// Package mounts holds tests and no code: routers that speak net/http, such as chi and gorilla/mux,
// need no adapter of their own. [middleware.Cache.Handler] and [middleware.Cache.With] are
// middlewares of theirs as they are.
//
//	r := chi.NewRouter()
//	r.Use(cache.Handler)
//	r.With(cache.With(freshet.Policy{TTL: time.Minute})).Get("/now", now)
//	http.ListenAndServe(addr, cache.Root(r))
//
// gorilla/mux makes the handlers of its Use anew for each request: [gorillacache.Route] tells the
// cache its routes.
//
// They do keep things of a request in its context that they use again afterwards, as chi does its
// route context; the tests hold that nothing of Freshet's looks at them then.
//
// [gorillacache.Route]:
// https://pkg.go.dev/github.com/freshet-go/freshet/adapters/gorillacache#Route
// [middleware.Cache.Handler]:
// https://pkg.go.dev/github.com/freshet-go/freshet/middleware#Cache.Handler
// [middleware.Cache.With]: https://pkg.go.dev/github.com/freshet-go/freshet/middleware#Cache.With
package mounts
