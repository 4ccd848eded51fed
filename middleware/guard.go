package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/freshet-go/freshet/internal/rules"
)

// Guard wraps the whole app, outside of everything, and sees each response's header as the client gets it.
//
// It tells caches inside what handlers outside of them have set only as the header was written, as session middleware
// sets its cookie, even where a compressor or http.TimeoutHandler between holds the header back. A page with such a
// cookie is not shared and not stored, and its Cache-Status does not say so. A response whose header has not gone out
// is kept from others until it has.
//
// Guard also keeps every response that sets a cookie from the caches between the app and its clients: Cache-Control
// gets private in the place of public and s-maxage, and CDN-Cache-Control and its kin go. A Cache does so itself for
// the cookies that it sees, but not for those that come late, nor on routes without a cache.
//
//	http.ListenAndServe(addr, cache.Guard(app))
func (c *Cache) Guard(next http.Handler) http.Handler {
	if next == nil {
		panic("middleware: Cache.Guard: the handler to wrap is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := &guarded{ResponseWriter: w}
		defer g.gate.close()
		next.ServeHTTP(g, r.WithContext(gated(r.Context(), &g.gate)))
		g.look(http.StatusOK)
	})
}

// guarded is the writer of a response that Guard looks at.
type guarded struct {
	http.ResponseWriter
	looked bool
	gate   gate
}

// look is called before the final header is sent.
func (g *guarded) look(status int) {
	if g.looked {
		return
	}
	g.looked = true
	h := g.Header()
	g.gate.leaves(status, h)
	if setsCookie(h) {
		rules.KeepFromOthers(h)
	}
}

// WriteHeader looks at the header and sends it.
func (g *guarded) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		g.look(status)
	}
	g.ResponseWriter.WriteHeader(status)
}

func (g *guarded) Write(p []byte) (int, error) {
	g.look(http.StatusOK)
	return g.ResponseWriter.Write(p)
}

// WriteString is Write.
func (g *guarded) WriteString(s string) (int, error) {
	g.look(http.StatusOK)
	return io.WriteString(g.ResponseWriter, s)
}

// ReadFrom leaves copying to the client's writer, and so to sendfile.
func (g *guarded) ReadFrom(src io.Reader) (int64, error) {
	g.look(http.StatusOK)
	return io.Copy(g.ResponseWriter, src)
}

// Flush is FlushError.
func (g *guarded) Flush() { g.FlushError() }

// FlushError sends the header and what has been written.
func (g *guarded) FlushError() error {
	g.look(http.StatusOK)
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
