package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/freshet-go/freshet/policy"
)

// Guard wraps the whole app, outside of everything, and keeps every response that sets a cookie from the caches
// between the app and its clients: Cache-Control gets private in the place of public and s-maxage, and
// CDN-Cache-Control and its kin go. A Cache does so itself for the cookies that it sees. Guard sees those too
// that handlers outside the cache set only as the header is written, as session middleware does, and those of routes
// without a cache.
//
//	http.ListenAndServe(addr, cache.Guard(app))
func (c *Cache) Guard(next http.Handler) http.Handler {
	if next == nil {
		panic("middleware: Cache.Guard: the handler to wrap is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := &guarded{ResponseWriter: w}
		next.ServeHTTP(g, r)
		g.look()
	})
}

// guarded is the writer of a response that Guard looks at.
type guarded struct {
	http.ResponseWriter
	looked bool
}

// look is called before the final header is sent.
func (g *guarded) look() {
	if g.looked {
		return
	}
	g.looked = true
	if h := g.Header(); setsCookie(h) {
		policy.KeepFromOthers(h)
	}
}

// WriteHeader looks at the header and sends it.
func (g *guarded) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		g.look()
	}
	g.ResponseWriter.WriteHeader(status)
}

func (g *guarded) Write(p []byte) (int, error) {
	g.look()
	return g.ResponseWriter.Write(p)
}

// WriteString is Write.
func (g *guarded) WriteString(s string) (int, error) {
	g.look()
	return io.WriteString(g.ResponseWriter, s)
}

// ReadFrom leaves copying to the client's writer, and so to sendfile.
func (g *guarded) ReadFrom(src io.Reader) (int64, error) {
	g.look()
	return io.Copy(g.ResponseWriter, src)
}

// Flush is FlushError.
func (g *guarded) Flush() { g.FlushError() }

// FlushError sends the header and what has been written.
func (g *guarded) FlushError() error {
	g.look()
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
