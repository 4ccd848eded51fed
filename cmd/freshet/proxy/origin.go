package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// origin is the way to the upstreams. It tells the cache of a body that ends before its end, and
// ends one that has fallen silent.
type origin struct {
	upstreams   *upstreams
	replaceHost bool
	usual       way           // of all
	once        way           // uses no connection twice
	timeout     time.Duration // 0 or less: none
}

// newOrigin has a transport of its own, which changes nothing on the way: the environment names no
// proxy for it, and it compresses and decompresses nothing. How many connections are in use at once
// is not bounded: waiting for a free one would be a time without bound.
func newOrigin(upstreams *upstreams, o *Options) *origin {
	origin := &origin{upstreams: upstreams, replaceHost: o.ReplaceHost, timeout: o.Timeout}
	origin.usual.transport = origin.newTransport()
	origin.usual.transport.ForceAttemptHTTP2 = true
	origin.once.transport = origin.newTransport()
	origin.once.transport.DisableKeepAlives = true
	return origin
}

// pinned returns a way with one connection, for one client. It speaks HTTP/1.1, as NTLM must.
func (o *origin) pinned() *way {
	t := o.newTransport()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = 1, 1
	t.IdleConnTimeout = 2 * time.Minute // the client's own ends it sooner
	return &way{transport: t, pinned: true}
}

func (o *origin) newTransport() *http.Transport {
	return &http.Transport{
		DialContext: (&net.Dialer{Timeout: 5 * time.Second,
			KeepAlive: 30 * time.Second}).DialContext,
		DisableCompression:     true,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  max(o.timeout, 0),
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        30 * time.Second, // less than servers usually keep theirs
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// RoundTrip implements http.RoundTripper.
func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	got, err := o.send(r.WithContext(ctx))
	if err != nil {
		cancel(err)
		return nil, err
	}
	res := got.Response
	ended := sync.OnceFunc(func() { o.upstreams.end(got.by); cancel(nil) })
	if conn, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = &upgraded{conn, ended}
		return res, nil
	}
	b := &body{ReadCloser: res.Body, ctx: ctx, ended: ended, timeout: o.timeout, conn: got.last}
	if o.timeout > 0 {
		b.silence = time.AfterFunc(o.timeout, func() { cancel(errSilent) })
		b.silence.Stop()
	}
	res.Body = b
	return res, nil
}

// body is that of a response, as it comes from the upstream.
type body struct {
	io.ReadCloser
	ctx     context.Context
	ended   func()
	timeout time.Duration
	conn    net.Conn    // to be closed when the body is; nil: none
	silence *time.Timer // runs while a Read waits; nil: it may wait for ever
}

func (b *body) Read(p []byte) (int, error) {
	if b.silence != nil {
		b.silence.Reset(b.timeout)
		defer b.silence.Stop()
	}
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if cause := context.Cause(b.ctx); cause != nil {
		err = cause
	}
	middleware.FromContext(b.ctx).Fail(err)
	if t := tripOf(b.ctx); t != nil {
		t.cut = err
	}
	return n, err
}

func (b *body) Close() error {
	if b.silence != nil {
		b.silence.Stop()
	}
	err := b.ReadCloser.Close()
	b.ended()
	if b.conn != nil {
		b.conn.Close()
	}
	return err
}

// upgraded is a connection that speaks another protocol now.
type upgraded struct {
	io.ReadWriteCloser
	ended func()
}

func (u *upgraded) Close() error {
	err := u.ReadWriteCloser.Close()
	u.ended()
	return err
}

// silent is the error of an upstream that began a response and said no more.
type silent struct{}

var errSilent error = silent{}

func (silent) Error() string   { return "the upstream fell silent within its response" }
func (silent) Timeout() bool   { return true }
func (silent) Temporary() bool { return true }
