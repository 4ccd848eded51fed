// Package admin is a door to a running Cache for those who operate it: what it does now, why a page
// is cached or not, and purges. An app mounts it where it likes:
//
//	watch := admin.NewWatch()
//	cache := freshet.New(pages, freshet.Options{Observe: watch.Observe})
//	door := admin.New(cache, watch, admin.Options{Authenticate: admin.Tokens(os.Getenv("DOOR_TOKEN"))})
//	mux.Handle("/__freshet__/", http.StripPrefix("/__freshet__", door))
//
// In a browser, /__freshet__/ is a page; freshet explain, log, top, stats and purge talk to the
// rest.
// Every request needs the authenticator's consent, every response says no-store, and errors are
// problem details (RFC 9457). A request that changes something, or runs a handler, needs the field
// Freshet-Door, with any value, which no form of another site can send. Every response has
// [VersionField].
package admin

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
)

// Version is that of the requests and answers behind the door, which every response names in
// VersionField. It changes when a client of the earlier version would misunderstand an answer; a new
// member of an answer leaves it as it is.
const Version = "1"

// VersionField is the response field with the Version.
const VersionField = "Freshet-Door-Version"

// Options say who may enter, and what for.
type Options struct {
	// Authenticate reports whether a request may enter. It is required: see [Tokens].
	Authenticate func(*http.Request) bool
	// Hosts are the hosts whose URLs may be purged and explained, such as "www.example.com"; "*" is
	// every host, for a door that is asked by a name of its own. Default: the host by which the
	// door was asked.
	Hosts []string
	// Flush opens /__flush__: POST there makes everything unusable that is stored, and empties
	// Store. Default false: the door answers 404.
	Flush bool
	// Store is the Cache's store, of which Flush frees the room, if it is a store.Clearer: under
	// its own prefix, and nothing else on a server. Default nil: entries go when their time is
	// over.
	Store store.Store
	// Log gets a line for each change. Nil: slog.Default().
	Log *slog.Logger
}

// Door is the handler. It is safe for concurrent use.
type Door struct {
	cache   *middleware.Cache
	watch   *Watch
	options Options
	mux     *http.ServeMux
	began   time.Time
}

// New returns a door to cache. It panics when cache, watch or Options.Authenticate is nil.
func New(cache *middleware.Cache, watch *Watch, o Options) *Door {
	switch {
	case cache == nil:
		panic("admin: New: the cache is nil")
	case watch == nil:
		panic("admin: New: the watch is nil: give it admin.NewWatch(), and the Cache its Observe")
	case o.Authenticate == nil:
		panic("admin: New: Options.Authenticate is nil, and a door that is open to everybody " +
			"lets everybody purge: " +
			"give it admin.Tokens(token), or a function of your own")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := &Door{cache: cache, watch: watch, options: o, mux: http.NewServeMux(), began: time.Now()}
	d.routes()
	return d
}

// routes mounts what is behind the door. A method that a path does not have is answered here, so
// that the answer is a problem as well.
func (d *Door) routes() {
	for path, methods := range map[string]map[string]http.HandlerFunc{
		"/{$}":           {"GET": page("page.html", "text/html; charset=utf-8")},
		"/page.js":       {"GET": page("page.js", "text/javascript; charset=utf-8")},
		"/page.css":      {"GET": page("page.css", "text/css; charset=utf-8")},
		"/icon.svg":      {"GET": page("icon.svg", "image/svg+xml")},
		"/stats":         {"GET": d.stats},
		"/top":           {"GET": d.top},
		"/explain":       {"GET": d.explain},
		"/events":        {"GET": d.events},
		"/purge":         {"POST": d.change(d.purge), "PURGE": d.change(d.purge)},
		"/__flush__":     {"POST": d.change(d.flush)},
		"/{anything...}": nil,
	} {
		d.mux.HandleFunc(path, d.only(path, methods))
	}
}

// only serves the methods that a path has.
func (d *Door) only(path string, methods map[string]http.HandlerFunc) http.HandlerFunc {
	allow := ""
	for method := range methods {
		if allow != "" {
			allow += ", "
		}
		allow += method
	}
	return func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		switch serve := methods[method]; {
		case path == "/__flush__" && !d.options.Flush, methods == nil:
			refuse(w, http.StatusNotFound, "there is nothing at this path")
		case serve == nil:
			w.Header().Set("Allow", allow)
			refuse(w, http.StatusMethodNotAllowed, "allowed here: "+allow)
		default:
			serve(w, r)
		}
	}
}

// ServeHTTP implements http.Handler. The paths behind the door begin with "/": mount it with
// http.StripPrefix.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set(VersionField, Version)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", contentSecurity)
	if !d.options.Authenticate(r) {
		h.Set("WWW-Authenticate", `Bearer realm="Freshet"`)
		if r.Header.Get("Freshet-Door") == "" { // or else a browser would ask beneath the page
			h.Add("WWW-Authenticate", `Basic realm="Freshet", charset="UTF-8"`)
		}
		refuse(w, http.StatusUnauthorized, "this door needs a token: Authorization: Bearer "+
			"TOKEN, or the token as the password")
		return
	}
	d.mux.ServeHTTP(w, r)
}

// FlushHandler returns the handler of /__flush__ alone, for apps that had it at a path of its own:
//
//	mux.Handle("/v1/__flush__", door.FlushHandler())
func (d *Door) FlushHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.Clone(r.Context())
		at.URL.Path, at.URL.RawPath = "/__flush__", ""
		d.ServeHTTP(w, at)
	})
}

// change guards what changes something.
func (d *Door) change(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if knocks(w, r) {
			serve(w, r)
		}
	}
}

// knocks reports whether a request has the field that no other site can have a browser send, and
// otherwise refuses it.
func knocks(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Freshet-Door") != "" {
		return true
	}
	refuse(w, http.StatusForbidden, "a request that changes something, or runs a handler, needs "+
		"the field Freshet-Door, such as Freshet-Door: 1")
	return false
}
