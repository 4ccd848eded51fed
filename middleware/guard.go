package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"reflect"
	"sync"

	"github.com/freshet-go/freshet/internal/rules"
)

// Guard wraps a whole app, outside of everything, and sees each response's header as the client
// gets it. [Cache.Root] does the same; Guard is for a further app of the Cache, which an
// http.Server of its own serves, and for one whose pages should not be refreshed in the background.
//
// It tells caches inside what handlers outside of them have set only as the header was written, as
// session middleware sets its cookie, even where a compressor or http.TimeoutHandler between holds
// the header back. A page with such a cookie is not shared and not stored, and its Cache-Status
// does not say so. A response whose header has not gone out is kept from others until it has.
//
// Guard also keeps every response that sets a cookie from the caches between the app and its
// clients: Cache-Control gets private in the place of public and s-maxage, CDN-Cache-Control and
// its kin go, and of a page that would have lived by the operator's lifetime no-cache, no-store
// takes the place of that. A Cache does so itself for the cookies that it sees, but not for those
// that come late, nor on routes without a cache.
//
//	http.ListenAndServe(addr, cache.Guard(app))
//
// Of several Guards on a request's way, the outermost one counts. One around which other handlers
// wrap the client's writer looks at the header before and after it goes out, so that it sees what
// those set then. It does not see what they hold back, and the log says so once.
func (c *Cache) Guard(app http.Handler) http.Handler {
	if noHandler(app) {
		panic("freshet: Cache.Guard: the app is nil: give it the app's outermost handler")
	}
	return &guard{c: c, next: app}
}

// guard is an app with what Guard does around it.
type guard struct {
	c    *Cache
	next http.Handler
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	outer := gateOf(r)
	if outer.waits() {
		g.next.ServeHTTP(w, r)
		return
	}
	gw := &guarded{ResponseWriter: w}
	gw.gate.veil.shown.Store(mapOf(w.Header()))
	if outer == nil && !outermost(w, r) {
		gw.gate.inner = true
		g.c.warnOfGuard(w)
	}
	gw.context = gatedContext{arrivalOf(r), &gw.gate}
	defer func() {
		if gw.sets { // when the mounts on the way have said theirs
			g.c.adviseOnSet(gw.Header())
		}
	}()
	defer gw.gate.close()
	inside := r.WithContext(&gw.context)
	defer giveBack(r, inside)
	g.next.ServeHTTP(gw, inside)
	gw.look(http.StatusOK)
}

// outermost reports whether no handler outside has wrapped the writer w of the response to r.
// Servers other than net/http's have writers of their own, which hold no other one.
func outermost(w http.ResponseWriter, r *http.Request) bool {
	if w = beyondOurs(w); bare(w) {
		return true
	}
	return r.Context().Value(http.ServerContextKey) == nil && !wrapper(w)
}

// beyondOurs returns the writer that w of ours writes to, or w.
func beyondOurs(w http.ResponseWriter) http.ResponseWriter {
	for {
		switch own := w.(type) {
		case *recorder:
			w = own.to.client()
		case *passed:
			w = own.x.w
		case *passWriter:
			w = own.x.w
		case *unsafeWriter:
			w = own.x.w
		case *lastByte:
			w = own.ResponseWriter
		default:
			return w
		}
	}
}

var writerType = reflect.TypeFor[http.ResponseWriter]()

// wrapper reports whether a writer holds another one.
func wrapper(w http.ResponseWriter) bool {
	if _, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return true
	}
	t := reflect.TypeOf(w)
	if holds, known := holders.Load(t); known {
		return holds.(bool)
	}
	holds := holdsWriter(t)
	holders.Store(t, holds)
	return holds
}

// holders tells of the types of writers that were looked at whether they hold another one.
var holders sync.Map

func holdsWriter(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Interface && f.Type.Implements(writerType) || f.Anonymous &&
			holdsWriter(f.Type) {
			return true
		}
	}
	return false
}

// guarded is the writer of a response that Guard looks at.
type guarded struct {
	http.ResponseWriter
	looked  bool
	sets    bool // a cookie has gone out
	gate    gate
	context gatedContext // of the request, which so needs no memory of its own
}

// Header is the client's header.
func (g *guarded) Header() http.Header {
	h := g.ResponseWriter.Header()
	if g.gate.veil.drawn.Load() {
		g.gate.veil.look(h)
	}
	return h
}

// look is called before the final header is sent.
func (g *guarded) look(status int) {
	if g.looked {
		return
	}
	g.looked = true
	h := g.ResponseWriter.Header()
	g.gate.leaves(status, h)
	if setsCookie(h) {
		g.sets = true
		rules.KeepFromOthers(h)
	}
	if lines := h["Vary"]; len(lines) > 1 && !g.gate.inner {
		h["Vary"] = oneLine(lines)
	}
}

// WriteHeader looks at the header and sends it.
func (g *guarded) WriteHeader(status int) {
	if g.looked || status < 200 && status != http.StatusSwitchingProtocols {
		g.ResponseWriter.WriteHeader(status)
		return
	}
	g.look(status)
	g.ResponseWriter.WriteHeader(status)
	if g.gate.inner {
		g.gate.left(status, g.Header())
	}
}

// begin is called before anything of the body is sent.
func (g *guarded) begin() {
	switch {
	case g.looked:
	case g.gate.inner:
		g.WriteHeader(http.StatusOK)
	default:
		g.look(http.StatusOK)
	}
}

func (g *guarded) Write(p []byte) (int, error) {
	g.begin()
	return g.ResponseWriter.Write(p)
}

// WriteString is Write.
func (g *guarded) WriteString(s string) (int, error) {
	g.begin()
	return io.WriteString(g.ResponseWriter, s)
}

// ReadFrom leaves copying to the client's writer, and so to sendfile.
func (g *guarded) ReadFrom(src io.Reader) (int64, error) {
	g.begin()
	return io.Copy(g.ResponseWriter, src)
}

// Flush is FlushError.
func (g *guarded) Flush() { g.FlushError() }

// FlushError sends the header and what has been written.
func (g *guarded) FlushError() error {
	g.begin()
	return http.NewResponseController(g.ResponseWriter).Flush()
}

// Hijack hands the connection over.
func (g *guarded) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(g.ResponseWriter).Hijack()
}

// Push is the client's HTTP/2 push.
func (g *guarded) Push(target string, opts *http.PushOptions) error {
	if p, ok := g.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Unwrap lets http.ResponseController find the client's other abilities.
func (g *guarded) Unwrap() http.ResponseWriter { return g.ResponseWriter }
