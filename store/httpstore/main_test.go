package httpstore

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/examples/httpstore/server"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/drivertest"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) { testserver.Main(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// patient is for tests that are not about time, on machines that may be busy.
func patient(url string) Config {
	return Config{URL: url, Allow: loopback, Timeout: time.Minute, DialTimeout: time.Minute}
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

// open is unasked, with a server that is well.
func open(tb testing.TB, c Config) *Backend {
	tb.Helper()
	b := unasked(tb, c)
	if _, err := b.Health(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return b
}

// values returns a handler that keeps values, of nobody else's.
func values(tb testing.TB, o server.Options) http.Handler {
	b := memstore.NewBackend(256 << 20)
	tb.Cleanup(func() { b.Close() })
	return server.New(b, o)
}

// serve returns the URL of a handler.
func serve(tb testing.TB, h http.Handler) string {
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s.URL
}

// over returns a Backend on a handler.
func over(tb testing.TB, h http.HandlerFunc) *Backend { return unasked(tb, patient(serve(tb, h))) }

func TestBackend(t *testing.T) {
	t.Parallel()
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		c := patient(serve(t, values(t, server.Options{Token: "secret"})) + "/")
		c.Authorization, c.MaxItemSize = "Bearer secret", 2<<20
		return open(t, c)
	}, storetest.Options{Oversize: 3 << 20, Keys: 200})
}

// The server's limit is the lower one.
func TestBackendOnAServerThatTakesLess(t *testing.T) {
	t.Parallel()
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		c := patient(serve(t, values(t, server.Options{MaxValue: 1 << 20})))
		c.TTLQuery = "ttl"
		return open(t, c)
	}, storetest.Options{Oversize: 3 << 20, Keys: 200})
}

func TestBackendOverHTTP2(t *testing.T) {
	t.Parallel()
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		s := httptest.NewUnstartedServer(values(t, server.Options{}))
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		c := patient(s.URL)
		c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		if err := os.WriteFile(c.CAFile, cert, 0o600); err != nil {
			t.Fatal(err)
		}
		b := unasked(t, c)
		h, err := b.Health(t.Context())
		if err != nil || h.Details["protocol"] != "HTTP/2.0" {
			t.Fatalf("Health: %+v, %v; want HTTP/2.0", h, err)
		}
		return b
	}, storetest.Options{Keys: 200})
}

// nginx stores files by WebDAV's PUT and DELETE, and knows no lifetimes.
func nginx(tb testing.TB) *testserver.Server {
	return testserver.Nginx(tb, func(s *testserver.Server) string {
		return fmt.Sprintf(`server { listen %s; location / {
			root %s/values; dav_methods PUT DELETE; create_full_put_path on;
			client_max_body_size 2m; } }`, s.Addr, s.Dir)
	})
}

var folders atomic.Int64

func TestBackendOnNginx(t *testing.T) {
	t.Parallel()
	s := nginx(t)
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		b := open(t, patient(fmt.Sprint(s.URL, "/folder%20", folders.Add(1))))
		return b
	}, storetest.Options{Oversize: 3 << 20, Keys: 200})
}

func TestNginxAtItsStart(t *testing.T) {
	s := nginx(t)
	h, err := unasked(t, patient(s.URL)).Health(t.Context())
	if err != nil || h.Backend != "http" || h.Latency <= 0 || h.Details["protocol"] != "HTTP/1.1" ||
		!strings.HasPrefix(h.Details["server"], "nginx") {
		t.Errorf("Health: %+v, %v", h, err)
	}
	left, err := os.ReadDir(filepath.Join(s.Dir, "values"))
	if err != nil || len(left) > 0 {
		t.Errorf("Health leaves %v, %v", left, err)
	}
}

func TestDead(t *testing.T) {
	for name, break_ := range map[string]func(*testserver.FaultProxy){
		"refuses": (*testserver.FaultProxy).Refuse, "is silent": (*testserver.FaultProxy).Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunDead(t, func(t *testing.T) store.Backend {
				url := serve(t, values(t, server.Options{}))
				p := testserver.Proxy(t, strings.TrimPrefix(url, "http://"))
				b := open(t, patient("http://"+p.Addr))
				break_(p)
				return b
			})
		})
	}
}

var get, mustSet = drivertest.Value, drivertest.MustSet

// wantKind checks an error: its kind, that it tells what it should, and no secret.
func wantKind(tb testing.TB, what string, err error, kind store.ErrorKind, words ...string) {
	tb.Helper()
	drivertest.WantKind(tb, "httpstore", what, err, kind, words...)
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
	_, errs["health"] = b.Health(ctx)
	return errs
}
