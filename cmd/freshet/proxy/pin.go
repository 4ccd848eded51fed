package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/freshet-go/freshet/internal/rules"
)

// NTLM and Negotiate authenticate a connection, not a request: what follows on it is the user's,
// whatever it carries. So once a client has sent such credentials, its connection gets a connection
// to the upstream of its own, which ends with it; and the cache neither answers what comes over it
// nor keeps what it gets.

// pins are the ways to the upstream of client connections that have one of their own.
type pins struct {
	mu sync.Mutex
	of map[net.Conn]*way
}

type (
	connKey  struct{} // of a request's context: the client's connection, as Attach has it
	routeKey struct{} // the *way that its request takes, where it is not the usual one
)

// Attach tells the proxy of the server's connections, which NTLM and Negotiate need to work through
// it. Call it before the server serves. What the server has in ConnContext and ConnState is called
// first. Without Attach each request with such credentials has an upstream connection of its own,
// so that no client gets in, on an account of its own or of another.
func (p *Proxy) Attach(s *http.Server) {
	before, told := s.ConnContext, s.ConnState
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if before != nil {
			ctx = before(ctx, c)
		}
		return context.WithValue(ctx, connKey{}, c)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if told != nil {
			told(c, state)
		}
		if state == http.StateClosed || state == http.StateHijacked {
			p.pins.drop(c)
		}
	}
}

// route returns the way to the upstream that r must take by itself; nil: that of all.
func (p *Proxy) route(r *http.Request) *way {
	authenticates := rules.ConnectionAuth(r.Header["Authorization"])
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	if c == nil || r.ProtoMajor > 1 || p.fromProxy(r) {
		if authenticates {
			return &p.origin.once
		}
		return nil
	}
	return p.pins.find(c, authenticates, p.origin)
}

// fromProxy reports whether r comes from another proxy, whose connection may carry the requests of
// many users.
func (p *Proxy) fromProxy(r *http.Request) bool {
	if p.options.TrustForwarded {
		return true
	}
	for _, name := range [...]string{"Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Proto", "X-Real-Ip"} {
		if r.Header[name] != nil {
			return true
		}
	}
	return false
}

// find returns the way of a client's connection, and makes one if so wished; nil: there is none.
func (s *pins) find(c net.Conn, create bool, o *origin) *way {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.of[c]
	if w == nil && create {
		w = o.pinned()
		if s.of == nil {
			s.of = make(map[net.Conn]*way)
		}
		s.of[c] = w
	}
	return w
}

// drop ends the upstream connection of a client's connection that has ended.
func (s *pins) drop(c net.Conn) {
	s.mu.Lock()
	w := s.of[c]
	delete(s.of, c)
	s.mu.Unlock()
	if w != nil {
		w.transport.CloseIdleConnections()
	}
}

// close ends those of all.
func (s *pins) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.of {
		w.transport.CloseIdleConnections()
	}
	clear(s.of)
}

// serveRouted serves a request that goes its own way. The cache is shown that it is its
// connection's user's: it then neither looks for an answer nor keeps one, and a change invalidates
// all the same.
func (p *Proxy) serveRouted(w http.ResponseWriter, r *http.Request, by *way) {
	ctx := context.WithValue(r.Context(), routeKey{}, by)
	if own := r.Header["Authorization"]; !rules.ConnectionAuth(own) {
		ctx = context.WithValue(ctx, ownKey{}, own)
		shown := r.Header.Clone()
		shown["Authorization"] = []string{"NTLM"}
		r = r.WithContext(ctx)
		r.Header = shown
	} else {
		r = r.WithContext(ctx)
	}
	p.cached.ServeHTTP(w, r)
}

type ownKey struct{} // the client's own Authorization, where the cache is shown another

// unshow takes back what serveRouted has shown to the cache.
func unshow(out *http.Request) {
	own, shown := out.Context().Value(ownKey{}).([]string)
	switch {
	case !shown:
	case own == nil:
		delete(out.Header, "Authorization")
	default:
		out.Header["Authorization"] = own
	}
}
