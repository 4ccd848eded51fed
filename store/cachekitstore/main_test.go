package cachekitstore

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/cachekitserver"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/drivertest"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) { testserver.Main(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

const secretKey = "ck_sdk_secret"

// trusted returns the name of a file with the certificate of a server.
func trusted(tb testing.TB, s *httptest.Server) string {
	name := filepath.Join(tb.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(name, cert, 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

// patient is the Config for a server, for tests that are not about time, on machines that may be
// busy.
func patient(tb testing.TB, s *httptest.Server) Config {
	return Config{APIKey: secretKey, URL: s.URL, AllowCustomHost: true, Allow: loopback,
		CAFile: trusted(tb, s), Timeout: time.Minute, DialTimeout: time.Minute}
}

// served returns a server on loopback, which speaks HTTP/2.
func served(tb testing.TB, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = silent
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s
}

// unasked returns a Backend, and closes it when the test ends.
func unasked(tb testing.TB, c Config) *Backend {
	tb.Helper()
	b, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close() })
	return b
}

// over returns a Backend on a handler.
func over(tb testing.TB, h http.HandlerFunc) *Backend {
	return unasked(tb, patient(tb, served(tb, h)))
}

// pipes is a listener whose connections are in memory, so that a bubble of testing/synctest can
// hold both ends.
type pipes struct {
	address  net.Addr
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accepted <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accepted:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (p *pipes) Addr() net.Addr { return p.address }

func TestBackend(t *testing.T) {
	t.Parallel()
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		return piped(t, cachekitserver.New(secretKey))
	}, storetest.Options{TTL: time.Second, Margin: time.Second, Virtual: true, Keys: 200, MaxTTL: longest * time.Second,
		Oversize: 3 << 20})
}

func TestBackendOverTCP(t *testing.T) {
	b := unasked(t, patient(t, served(t, cachekitserver.New(secretKey))))
	h, err := b.Health(t.Context())
	if err != nil || h.Backend != "cachekit" || h.Latency <= 0 || h.Details["protocol"] != "HTTP/2.0" ||
		h.Details["version"] != "1.0.0" || h.Details["status"] != "healthy" ||
		h.Details["entries"] != "0" || h.Details["locks"] != "0" {
		t.Errorf("Health: %+v, %v", h, err)
	}
	mustSet(t, b, "key", "v", time.Hour)
	if got := get(t, b, "key"); got != "v" {
		t.Errorf("Get: %s", got)
	}
	if _, err := store.Probe(t.Context(), b, "probe:"); err != nil {
		t.Error(err)
	}
}

func TestDead(t *testing.T) {
	for name, break_ := range map[string]func(*testserver.FaultProxy){
		"refuses": (*testserver.FaultProxy).Refuse, "is silent": (*testserver.FaultProxy).Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := served(t, cachekitserver.New(secretKey))
			storetest.RunDead(t, func(t *testing.T) store.Backend {
				p := testserver.Proxy(t, strings.TrimPrefix(s.URL, "https://"))
				c := patient(t, s)
				c.URL = "https://" + p.Addr
				b := unasked(t, c)
				if _, err := b.Health(t.Context()); err != nil {
					t.Fatal(err)
				}
				break_(p)
				return b
			})
		})
	}
}

// piped returns a Backend on a handler, over TLS and connections in memory.
func piped(t *testing.T, h http.Handler) *Backend {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = silent
	p := &pipes{address: s.Listener.Addr(), accepted: make(chan net.Conn), closed: make(chan struct{})}
	s.Listener.Close()
	s.Listener = p
	s.EnableHTTP2 = true
	s.StartTLS()
	c := patient(t, s)
	c.dial, c.MaxItemSize = p.dial, 2<<20
	b := unasked(t, c)
	t.Cleanup(s.Close)
	return b
}

var silent = log.New(io.Discard, "", 0)

var get, mustSet = drivertest.Value, drivertest.MustSet

// wantKind checks an error: its kind, that it tells what it should, and no secret.
func wantKind(tb testing.TB, what string, err error, kind store.ErrorKind, words ...string) {
	tb.Helper()
	drivertest.WantKind(tb, "cachekitstore", what, err, kind, words...)
}

// everyCall makes each call of the backend once and returns the errors by their names.
func everyCall(ctx context.Context, b *Backend) map[string]error {
	errs := make(map[string]error)
	_, errs["get"] = b.Get(ctx, "key")
	errs["set"] = b.Set(ctx, "key", []byte("secret"), time.Hour)
	errs["set of nothing"] = b.Set(ctx, "key", nil, 0)
	_, errs["delete"] = b.Delete(ctx, "key")
	_, errs["exists"] = b.Exists(ctx, "key")
	_, errs["ttl"] = b.TTL(ctx, "key")
	_, errs["expire"] = b.Expire(ctx, "key", time.Hour)
	_, _, errs["lock"] = b.TryLock(ctx, "key", time.Hour)
	_, errs["unlock"] = (&lease{b: b, name: "key", id: "secret", ends: time.Now().Add(time.Hour)}).Unlock(ctx)
	_, errs["health"] = b.Health(ctx)
	return errs
}
