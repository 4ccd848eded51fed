package dynamostore

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/underway"
)

// wire sends the SDK's requests, which are signed already, over connections of its own.
type wire struct {
	transport *http.Transport
	clock     *clock

	mu     sync.Mutex // held to open and to close a connection
	open   map[net.Conn]struct{}
	closed bool
}

// idleTime is how long a connection that nobody uses stays open.
const idleTime = time.Minute

func newWire(c Config, clock *clock) *wire {
	w := &wire{clock: clock, open: make(map[net.Conn]struct{})}
	dialer := &net.Dialer{Timeout: c.DialTimeout}
	w.transport = &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return w.keep(conn)
		},
		TLSHandshakeTimeout: c.DialTimeout,
		MaxConnsPerHost:     c.PoolSize,
		MaxIdleConnsPerHost: c.PoolSize,
		IdleConnTimeout:     idleTime,
		DisableCompression:  true, // checksums are of what is sent
	}
	return w
}

// keep notes a connection, for close.
func (w *wire) keep(conn net.Conn) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		conn.Close()
		return nil, fault.ErrClosed
	}
	kept := &keptConn{conn, w}
	w.open[kept] = struct{}{}
	return kept, nil
}

type keptConn struct {
	net.Conn
	wire *wire
}

func (k *keptConn) Close() error {
	k.wire.mu.Lock()
	delete(k.wire.open, k)
	k.wire.mu.Unlock()
	return k.Conn.Close()
}

// close closes all connections, those in use as well.
func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	open := make([]net.Conn, 0, len(w.open))
	for conn := range w.open {
		open = append(open, conn)
	}
	w.mu.Unlock()
	for _, conn := range open {
		conn.Close()
	}
	w.transport.CloseIdleConnections()
}

// Do implements the SDK's HTTPClient. It follows no redirects.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	if replayable(r.Header.Get("X-Amz-Target")) {
		// The transport then sends it again when a connection turns out to have been closed. The
		// empty field is not sent.
		r.Header["Idempotency-Key"] = []string{}
	}
	res, err := w.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.clock.hear(res.Header.Get("Date"), time.Now())
	res.Body = &metered{from: res.Body}
	return res, nil
}

// replayable reports whether a request changes nothing.
func replayable(target string) bool {
	_, operation, _ := strings.Cut(target, ".")
	switch operation {
	case "GetItem", "BatchGetItem", "Query", "Scan", "DescribeTable", "DescribeTimeToLive":
		return true
	}
	return false
}

// metered is a body that knows how much of it has come.
type metered struct {
	from  io.ReadCloser
	meter underway.Meter
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	return n, m.meter.Came(n, err)
}

func (m *metered) Close() error { return m.from.Close() }
