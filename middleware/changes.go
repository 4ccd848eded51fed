package middleware

import (
	"net/http"
	"sync/atomic"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// Changes wraps next so that the Cache sees what changes there, and caches nothing: a POST, PUT,
// DELETE or other unsafe method that succeeds invalidates its URL in all mounts of the Cache, as in
// a mount. Wrap an app whose routes are mounted for GET alone:
//
//	mux.Handle("GET /notes/{id}", minute(show))
//	mux.HandleFunc("PUT /notes/{id}", save)
//	http.ListenAndServe(addr, cache.Changes(mux))
//
// All other requests go to next as they are.
func (c *Cache) Changes(next http.Handler) http.Handler {
	if noHandler(next) {
		panic("freshet: Cache.Changes: the handler to wrap is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !rules.Changes(r.Method) {
			if rules.TellsOfWebDAV(r.Method) {
				w = &passWriter{x: exchange{c: c, w: w}, watch: seesWebDAV{c, r}, quiet: true}
			}
			next.ServeHTTP(w, r)
			return
		}
		n := &unsafeWriter{}
		n.x = exchange{c: c, w: w, r: r, next: next, p: &obey, off: true, quiet: true}
		if plan, _ := n.x.req.Read(r, n.x.p, nil); plan != rules.PlanInvalidate {
			next.ServeHTTP(w, r)
			return
		}
		n.invalidate()
	})
}

// seesWebDAV notes that the server keeps collections where the request asked: what is moved,
// written over and deleted there has members from then on.
type seesWebDAV struct {
	c *Cache
	r *http.Request
}

func (s seesWebDAV) onHeader(status int, h http.Header) {
	if rules.ShowsWebDAV(s.r.Method, status, h) {
		s.c.webdav.note(rules.Collection(s.r))
	}
}

// collections are the parts of the app that have shown that they are WebDAV's.
type collections struct {
	shown atomic.Pointer[rules.Collections]
}

func (c *collections) load() rules.Collections {
	if shown := c.shown.Load(); shown != nil {
		return *shown
	}
	return nil
}

func (c *collections) note(collection string) {
	for {
		old := c.shown.Load()
		var with rules.Collections
		if old != nil {
			with = *old
		}
		with = with.With(collection)
		if len(with) == 0 || old != nil && &with[0] == &(*old)[0] || c.shown.CompareAndSwap(old, &with) {
			return
		}
	}
}

// within hands the invalidation over between two mounts of the Cache on one request's way, so that
// it happens once: a mount around another one does it, and stores no answer to a POST, whose policy
// is the inner one's; Changes leaves it to a mount inside. It reports whether the outer one does
// it.
func (x *exchange) within() bool {
	outer := x.watcher()
	if outer == nil || outer.x.req.URI != x.req.URI {
		return false
	}
	if outer.quiet {
		outer.left = !x.quiet
		return x.quiet
	}
	outer.around = true
	if x.req.Tag != "" {
		outer.also = appendMark(outer.also, store.Mark{Kind: store.MarkTag, Name: x.req.Tag})
	}
	return true
}

// watcher returns the writer of a mount of the same Cache around this one, or nil.
func (x *exchange) watcher() *unsafeWriter {
	w := x.w
	for {
		if pass, ok := w.(*passWriter); ok && pass.x.c == x.c {
			if outer, ok := pass.watch.(*unsafeWriter); ok {
				return outer
			}
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = inner.Unwrap()
	}
}
