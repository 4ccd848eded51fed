package dynamostore

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strconv"
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
	if err := ownBody(r); err != nil {
		return nil, err
	}
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
	res.Body = newBody(res)
	return res, nil
}

// ownBody gives a request a copy of its body. The transport sends a copy again when the server has
// closed the connection before it got any of it. The SDK closes the body as soon as the answer
// begins, and a body of the SDK's that is closed while the transport looks for its end fails: the
// connection is then closed in the middle of the answer.
func ownBody(r *http.Request) error {
	if r.Body == nil || r.ContentLength <= 0 {
		return nil
	}
	b := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, b)
	if e := r.Body.Close(); err == nil {
		err = e
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	r.Body, _ = r.GetBody()
	return err
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

// body is that of an answer. It knows how much of it has come, and what it should add up to.
type body struct {
	from  io.ReadCloser
	meter underway.Meter
	sum   uint32
	want  uint32
	check bool
}

func newBody(res *http.Response) *body {
	b := &body{from: res.Body}
	if want, err := strconv.ParseUint(res.Header.Get("X-Amz-Crc32"), 10, 32); err == nil {
		b.want, b.check = uint32(want), true
	}
	return b
}

var errSum = errors.New("the answer does not add up to its checksum")

// Read fails in the place of the end where the checksum is another's. The SDK's own check no more
// than warns.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.check {
		b.sum = crc32.Update(b.sum, crc32.IEEETable, p[:n])
		if err == io.EOF && b.sum != b.want {
			err = errSum
		}
	}
	return n, b.meter.Came(n, err)
}

func (b *body) Close() error { return b.from.Close() }
