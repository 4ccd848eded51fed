package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener with one connection.
type oneConn chan net.Conn

func (l oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (oneConn) Close() error { return nil }

func (oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// A client that does not end its header, or its handshake, or sends no further request is
// disconnected after a bounded time.
func TestHeadersAndIdleConnectionsAreBounded(t *testing.T) {
	for _, c := range []struct {
		sends string
		after time.Duration
	}{
		{"", 10 * time.Second},
		{"GET / HTTP/1.1\r\nHost: a\r\n", 10 * time.Second},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := make(oneConn, 1)
			server := newServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
			served := make(chan error)
			go func() { served <- server.Serve(l) }()
			client, conn := net.Pipe()
			l <- conn
			start := time.Now()
			io.WriteString(client, c.sends)
			io.Copy(io.Discard, client)
			if took := time.Since(start); took != c.after {
				t.Errorf("%q: disconnected after %v, want %v", c.sends, took, c.after)
			}
			close(l)
			<-served
			server.Close()
		})
	}
}
