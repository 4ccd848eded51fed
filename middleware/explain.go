package middleware

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/freshet-go/freshet/explain"
)

// ExplainOptions say how [Cache.Explain] asks. The zero value only looks.
type ExplainOptions struct {
	// Fetch runs the handler once, for a GET or HEAD, and judges its response as the cache would.
	// The response is not stored, not shared, and nobody else waits for it. Default: no handler of
	// a mount runs.
	Fetch bool
	// At is when the response counts as received, for a handler that plays a recorded one. Default:
	// when it is.
	At time.Time
}

// Explain says what the cache decides about r, and why: it sends a request like r through the app,
// in at the handler that [Cache.Root] was given, so that it comes to the mount and the policy that
// a client's request would come to. r may be a server's request or one that [http.NewRequest] made,
// with an absolute URL. Of r's context it uses nothing but the server; ctx bounds the whole.
//
// Without Fetch the mount stops where it would answer or run its handler. Nothing is stored,
// invalidated or refreshed, and Options.Observe hears of nothing. Handlers outside of the mount
// run, as for any request, and a route without a mount answers itself; so that neither changes
// anything, they see a GET in the place of every method but GET and HEAD.
//
// The explanation holds the URL with its query, and the names of fields and cookies, but no
// credential: see [explain.Explanation]. It is for those who run the app. Explain fails when the
// app is not served through Cache.Root, when r names no host, and when ctx is done. It is safe for
// concurrent use.
func (c *Cache) Explain(
	ctx context.Context, r *http.Request, o ExplainOptions,
) (*explain.Explanation, error) {
	if c.root.Load() == nil {
		return nil, errors.New("freshet: Cache.Explain: the app is not served through " +
			"Cache.Root, so there is no way in: " +
			"http.ListenAndServe(addr, cache.Root(app))")
	}
	if ctx.Value(traceKey{}) != nil {
		return nil, errors.New("freshet: Cache.Explain: the context is that of a request that is " +
			"being explained: " +
			"a handler on the way would explain without end")
	}
	asked, err := entering(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("freshet: Cache.Explain: %w", err)
	}
	t := &trace{mode: traceLook, at: o.At}
	if o.Fetch {
		t.mode = traceFetch
	}
	if asked.Method != http.MethodGet && asked.Method != http.MethodHead {
		t.method, asked.Method = asked.Method, http.MethodGet
	}
	asked = t.traced(asked)
	defer untrace()
	c.enter(c.rootOf(asked), asked)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("freshet: Cache.Explain: %w", err)
	}
	return t.explanation(asked), nil
}

// enter has the app answer a request of nobody's. A panic is the end of that request and of nothing
// else.
func (c *Cache) enter(root http.Handler, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			c.lost(r, v, debug.Stack())
		}
	}()
	(&nowhere{header: http.Header{}}).ask(root, r)
}

// alone is a context that ends with another, of which it has no values: a request that Explain
// makes is none of the caller's server, nor a part of a page that the caller makes.
type alone struct{ context.Context }

// Value returns nil.
func (*alone) Value(any) any { return nil }

// entering makes the request of a server that is like r.
func entering(ctx context.Context, r *http.Request) (*http.Request, error) {
	if r == nil || r.URL == nil {
		return nil, errors.New("the request has no URL")
	}
	ctx = &alone{ctx}
	for _, key := range []any{http.ServerContextKey, http.LocalAddrContextKey} {
		if v := r.Context().Value(key); v != nil {
			ctx = context.WithValue(ctx, key, v)
		}
	}
	as := r.Clone(ctx)
	if as.Body = http.NoBody; as.Method == "" {
		as.Method = http.MethodGet
	}
	if as.Host == "" {
		as.Host = r.URL.Host
	}
	if as.Host == "" {
		return nil, fmt.Errorf("the URL %q names no host: give an absolute one, as "+
			"https://shop.example/page", r.URL.Redacted())
	}
	if as.TLS == nil && r.URL.Scheme == "https" {
		as.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	if as.RequestURI == "" {
		as.RequestURI = r.URL.RequestURI()
	}
	u, err := url.ParseRequestURI(as.RequestURI)
	if err != nil {
		return nil, errors.New("the target of the request is no path and no absolute URL")
	}
	if as.URL = u; as.RemoteAddr == "" {
		as.RemoteAddr = "127.0.0.1:0"
	}
	if as.Header == nil {
		as.Header = http.Header{}
	}
	delete(as.Header, debugField)
	return as, nil
}
