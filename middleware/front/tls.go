package front

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// handshakes accepts connections of TLS when their handshakes are done: only then it is known which
// protocol they speak. Those of HTTP/2 and of protocols of others (http.Server.TLSNextProto), and
// those that failed, are net/http's as they are.
type handshakes struct {
	l      *listener
	config *tls.Config
	done   chan net.Conn
	failed chan error // of the listener's Accept
	ended  chan struct{}

	mu      sync.Mutex
	closed  bool
	shaking map[*tls.Conn]struct{}
}

func (l *listener) startTLS(config *tls.Config) {
	h := &handshakes{l: l, config: config, done: make(chan net.Conn), failed: make(chan error),
		ended: make(chan struct{}), shaking: map[*tls.Conn]struct{}{}}
	l.shaken = h
	go h.run()
}

func (h *handshakes) accept() (net.Conn, error) {
	select {
	case nc := <-h.done:
		return nc, nil
	case err := <-h.failed:
		return nil, err
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

// close ends the handshakes that go on: no request has come by them.
func (h *handshakes) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	close(h.ended)
	for t := range h.shaking {
		t.NetConn().Close()
	}
}

// begins notes a handshake, unless the listener is closed.
func (h *handshakes) begins(t *tls.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.shaking[t] = struct{}{}
	}
	return !h.closed
}

func (h *handshakes) ends(t *tls.Conn) {
	h.mu.Lock()
	delete(h.shaking, t)
	h.mu.Unlock()
}

// run accepts connections until the listener is closed.
func (h *handshakes) run() {
	for {
		raw, err := h.l.Listener.Accept()
		if err == nil {
			go h.shake(tls.Server(raw, h.config))
			continue
		}
		select {
		case h.failed <- err: // http.Server says whether it is worth another try
		case <-h.ended:
			return
		}
	}
}

// shake does the handshake of a connection.
func (h *handshakes) shake(t *tls.Conn) {
	if !h.begins(t) {
		t.NetConn().Close()
		return
	}
	defer h.recovers(t)
	limit := h.timeout()
	if limit > 0 {
		t.SetDeadline(time.Now().Add(limit))
	}
	err := t.HandshakeContext(context.Background())
	h.ends(t)
	if limit > 0 {
		t.SetDeadline(time.Time{})
	}
	var nc net.Conn = t
	if err == nil {
		switch t.ConnectionState().NegotiatedProtocol {
		case "", "http/1.1", "http/1.0":
			nc = h.l.s.newTLSConn(t)
		}
	}
	select {
	case h.done <- nc:
	case <-h.ended:
		nc.Close()
	}
}

// recovers ends a connection in whose handshake a function of the app has panicked, GetCertificate
// say, as net/http would: the process goes on.
func (h *handshakes) recovers(t *tls.Conn) {
	err := recover()
	if err == nil {
		return
	}
	h.ends(t)
	t.NetConn().Close()
	if err == http.ErrAbortHandler {
		return
	}
	logf := log.Printf
	if to := h.l.s.srv.ErrorLog; to != nil {
		logf = to.Printf
	}
	logf("http: panic serving %v: %v\n%s", t.RemoteAddr(), err, debug.Stack())
}

// timeout is how long net/http would give a handshake: the least of the server's timeouts.
func (h *handshakes) timeout() (least time.Duration) {
	srv := h.l.s.srv
	for _, d := range [...]time.Duration{srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout} {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// tlsConn is a conn with what net/http asks a TLS connection for.
type tlsConn struct {
	*conn
	t *tls.Conn
}

// ConnectionState returns that of the TLS connection.
func (c *tlsConn) ConnectionState() tls.ConnectionState { return c.t.ConnectionState() }
