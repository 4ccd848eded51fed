package front

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/freshet-go/freshet/middleware"
)

// server is what the connections of one listener share.
type server struct {
	srv    *http.Server
	hits   *middleware.Hits
	onHit  func(http.Header, *http.Request)
	answer func(*middleware.Target, http.ResponseWriter, *http.Request) bool

	idle, header, write time.Duration // of srv; 0: none
	maxHead             int
	noKeepAlives        *uint32 // of srv
	state               func(net.Conn, http.ConnState)

	draining atomic.Bool // Shutdown or Close has closed the listener

	mu    sync.Mutex
	conns map[*conn]struct{}
	ended uint64 // how many hits were answered on connections that have ended
}

// answered returns how many hits have been answered in front.
func (s *server) answered() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.ended
	for c := range s.conns {
		n += c.hits.Load()
	}
	return n
}

var errHandler = errors.New("front: the server has no Handler: set it to what the cache's Root " +
	"returns")

// prepare makes what the connections of a listener share, and has srv tell of its connections.
func (f *Front) prepare(srv *http.Server, c *middleware.Cache) (*server, error) {
	if srv.Handler == nil {
		return nil, errHandler
	}
	hits, err := f.hits(srv, c)
	if err != nil {
		return nil, err
	}
	off, err := keepAlivesOff(srv)
	if err != nil {
		return nil, err
	}
	s := &server{srv: srv, hits: hits, onHit: f.OnHit, answer: f.Answer, noKeepAlives: off,
		conns:  map[*conn]struct{}{},
		idle:   max(orElse(srv.IdleTimeout, srv.ReadTimeout), 0),
		header: max(orElse(srv.ReadHeaderTimeout, srv.ReadTimeout), 0), write: max(srv.WriteTimeout, 0),
		maxHead: mostHead, state: hook(srv)}
	if n := srv.MaxHeaderBytes; n > 0 && n < mostHead {
		s.maxHead = n
	}
	return s, nil
}

func (f *Front) hits(srv *http.Server, c *middleware.Cache) (*middleware.Hits, error) {
	if f.Answer != nil {
		return c.HitsOf(f.Mount, f.Targets)
	}
	return c.Hits(srv.Handler, f.Skip, f.Targets)
}

func orElse(d, or time.Duration) time.Duration {
	if d != 0 {
		return d
	}
	return or
}

// hooking orders those who set the hooks of servers.
var hooking sync.Mutex

// hook has srv tell the front's connections what becomes of them, and returns whom it tells
// besides. A server that serves already, on another listener, has the hooks, and is not touched.
func hook(srv *http.Server) (state func(net.Conn, http.ConnState)) {
	hooking.Lock()
	defer hooking.Unlock()
	if srv.ConnState != nil && codeOf(srv.ConnState) == codeOf(stateHook(nil)) {
		var q question
		srv.ConnState(&q, http.StateNew)
		return q.state
	}
	state = srv.ConnState
	srv.ConnState, srv.ConnContext = stateHook(state), contextHook(srv.ConnContext)
	return state
}

// question is what a hook is asked by whom it tells.
type question struct {
	net.Conn
	state func(net.Conn, http.ConnState)
}

// codeOf tells functions of one text from others.
func codeOf(f func(net.Conn, http.ConnState)) uintptr { return reflect.ValueOf(f).Pointer() }

//go:noinline
func stateHook(state func(net.Conn, http.ConnState)) func(net.Conn, http.ConnState) {
	return func(nc net.Conn, to http.ConnState) {
		if q, asks := nc.(*question); asks {
			q.state = state
			return
		}
		if c := connOf(nc); c != nil {
			c.becomes(to)
		}
		if state != nil {
			state(nc, to)
		}
	}
}

func contextHook(
	makes func(context.Context, net.Conn) context.Context,
) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, nc net.Conn) context.Context {
		if makes != nil {
			ctx = makes(ctx, nc)
		}
		if c := connOf(nc); c != nil && ctx != nil {
			c.ctx = context.WithValue(ctx, http.LocalAddrContextKey, nc.LocalAddr())
		}
		return ctx
	}
}

// keepAlivesOff returns where srv keeps whether SetKeepAlivesEnabled has switched keep-alives off,
// which it tells nobody.
func keepAlivesOff(srv *http.Server) (*uint32, error) {
	at := reflect.ValueOf(srv).Elem().FieldByName("disableKeepAlives")
	if at.IsValid() && at.Type() == reflect.TypeFor[atomic.Bool]() {
		if v := at.FieldByName("v"); v.IsValid() && v.Kind() == reflect.Uint32 {
			return (*uint32)(unsafe.Pointer(v.UnsafeAddr())), nil
		}
	}
	return nil, errors.New("front: this version of Go has another http.Server than the front knows: " +
		"serve without it, with http.Server's own methods, until there is a newer Freshet")
}

// listen returns the listener to give to net/http. config is that of TLS, or nil.
func (s *server) listen(l net.Listener, config *tls.Config) net.Listener {
	in := &listener{Listener: l, s: s}
	if config != nil {
		in.startTLS(config)
	}
	return in
}

// listener makes connections that the front looks at.
type listener struct {
	net.Listener
	s      *server
	shaken *handshakes // of TLS; or nil
}

// Accept implements net.Listener. When the listener is closed, it returns once the hits that are
// under way have been sent: http.Server's Shutdown waits for that, and closes idle connections
// after it.
func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.accept()
	if err != nil {
		if l.s.draining.Load() {
			l.s.drain()
		}
		return nil, err
	}
	return nc, nil
}

func (l *listener) accept() (net.Conn, error) {
	if l.shaken != nil {
		return l.shaken.accept()
	}
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.s.newConn(raw), nil
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.s.draining.Store(true)
	if l.shaken != nil {
		l.shaken.close()
	}
	return l.Listener.Close()
}

// drainFor is how long Shutdown waits, before all else, for hits that are under way to clients that
// take them slowly.
const drainFor = 5 * time.Second

// drain has the connections that wait for a request end, and waits for hits that are under way.
func (s *server) drain() {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	last := time.Now().Add(drainFor)
	for _, c := range conns {
		for !c.quiet() && time.Now().Before(last) {
			time.Sleep(time.Millisecond)
		}
	}
}

func (s *server) enter(c *conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
}

func (s *server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.conns[c]; there {
		delete(s.conns, c)
		s.ended += c.hits.Load()
	}
}

// stops reports whether srv answers no further request on a connection.
func (s *server) stops() bool { return s.draining.Load() || atomic.LoadUint32(s.noKeepAlives) != 0 }

// protocols returns what ALPN offers: next, with what net/http would add and without what it would
// not speak.
func protocols(srv *http.Server, next []string) []string {
	one, two := true, true
	if srv.Protocols != nil {
		one, two = srv.Protocols.HTTP1(), srv.Protocols.HTTP2()
	} else if _, has := srv.TLSNextProto["h2"]; srv.TLSNextProto != nil && !has {
		two = false
	}
	next = slices.DeleteFunc(slices.Clone(next), func(proto string) bool {
		return proto == "http/1.1" && !one || proto == "h2" && !two
	})
	if two && !slices.Contains(next, "h2") {
		next = append(next, "h2")
	}
	if one && !slices.Contains(next, "http/1.1") {
		next = append(next, "http/1.1")
	}
	return next
}
