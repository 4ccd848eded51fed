package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
	_ "github.com/freshet-go/freshet/store/httpstore"
	_ "github.com/freshet-go/freshet/store/memcachestore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/open"
	_ "github.com/freshet-go/freshet/store/pgstore"
	_ "github.com/freshet-go/freshet/store/redisstore"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// goroutines is how many read at once.
const goroutines = 8

// stored is a page of 4 KiB, as it is stored.
func stored() *store.Entry {
	e := &store.Entry{
		Key: "GET http://example.com/page", URI: "http://example.com/page", Status: 200,
		Header: http.Header{
			"Content-Type": {"text/html; charset=utf-8"}, "Content-Length": {"4096"},
			"Cache-Control": {"max-age=3600"},
			"Date":          {"Sat, 21 Nov 2026 10:00:00 GMT"}, "Etag": {`"0123456789abcdef"`},
			"Last-Modified": {"Sat, 21 Nov 2026 10:00:00 GMT"},
			"Accept-Ranges": {"bytes"},
		},
		Body: make([]byte, 4096), Received: time.Now(), Fresh: time.Hour,
	}
	return e.Packed()
}

// backends are the backends, each with its raw client's read of the value under a key.
func backends(b *testing.B) []struct {
	name, url string
	raw       func(b *testing.B, rawURL string) (read func(ctx context.Context, key string) (int,
		error), end func())
} {
	return []struct {
		name, url string
		raw       func(*testing.B, string) (func(context.Context, string) (int, error), func())
	}{
		{"redis", testserver.SharedRedis(b).URL, rawRedis},
		{"postgresql", testserver.SharedPostgres(b).URL, rawPostgres},
		{"memcached", testserver.SharedMemcached(b).URL, rawMemcached},
		{"http", webDAV(b), rawHTTP},
		{"file", (&url.URL{Scheme: "file", Path: b.TempDir()}).String(), rawFile},
	}
}

// BenchmarkFar measures a hit in a backend beside the raw client's read of the same value from the
// same server, in turns, by eight goroutines. Freshet's hit has the key's hash, the guard's
// deadline and breaker, the checksum and the decoding of the entry besides.
func BenchmarkFar(b *testing.B) {
	ctx := context.Background()
	for _, k := range backends(b) {
		b.Run(k.name, func(b *testing.B) {
			far := opened(b, k.url, "near=0")
			e := stored()
			if err := far.Set(ctx, e.Key, e, time.Hour); err != nil {
				b.Fatal(err)
			}
			read, end := k.raw(b, k.url)
			defer end()
			key := store.Options{Prefix: far.Prefix}.BackendKey(e.Key)
			beside(b, goroutines,
				always(func() error { _, err := read(ctx, key); return err }),
				always(func() error { _, err := far.Get(ctx, e.Key); return err }))
		})
	}
}

// BenchmarkNear measures a hit in the near tier before a backend beside one in memstore alone.
func BenchmarkNear(b *testing.B) {
	ctx := context.Background()
	for _, k := range backends(b) {
		b.Run(k.name, func(b *testing.B) {
			tiered := opened(b, k.url, "near=64MiB")
			alone := memstore.New(64 << 20)
			defer alone.Close()
			e := stored()
			for _, s := range []store.Store{tiered, alone} {
				if err := s.Set(ctx, e.Key, e, time.Hour); err != nil {
					b.Fatal(err)
				}
			}
			near, ok := store.As[tier.Near](tiered)
			if !ok {
				b.Fatal("no near tier")
			}
			beside(b, goroutines,
				always(func() error { _, err := alone.Get(ctx, e.Key); return err }),
				always(func() error { // as the engine asks
					if near.GetNear(e.Key) == nil {
						return store.ErrNotFound
					}
					return nil
				}))
		})
	}
}

func opened(b *testing.B, rawURL, options string) *open.Store {
	b.Helper()
	backend, _, closeIt, err := open.Backend(rawURL, open.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := store.Migrate(b.Context(), backend, false); err != nil {
		b.Fatal(err)
	}
	closeIt()
	join := "?"
	if strings.Contains(rawURL, "?") {
		join = "&"
	}
	s, err := open.URL(b.Context(), rawURL+join+options, open.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func rawRedis(b *testing.B, rawURL string) (func(context.Context, string) (int, error), func()) {
	o, err := redis.ParseURL(rawURL)
	if err != nil {
		b.Fatal(err)
	}
	client := redis.NewClient(o)
	return func(ctx context.Context, key string) (int, error) {
		v, err := client.Get(ctx, key).Bytes()
		return len(v), err
	}, func() { client.Close() }
}

func rawPostgres(b *testing.B, rawURL string) (func(context.Context, string) (int, error), func()) {
	c, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		b.Fatal(err)
	}
	c.MaxConns = 20 // as many as Freshet's pool has
	pool, err := pgxpool.NewWithConfig(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, key string) (int, error) {
		var v []byte
		err := pool.QueryRow(ctx, "SELECT value FROM freshet_cache WHERE key = $1 AND expires > "+
			"clock_timestamp()", key).Scan(&v)
		return len(v), err
	}, pool.Close
}

func rawMemcached(
	b *testing.B, rawURL string,
) (func(context.Context, string) (int, error), func()) {
	client := memcache.New(strings.TrimPrefix(rawURL, "memcached://"))
	client.MaxIdleConns = goroutines
	return func(_ context.Context, key string) (int, error) {
		item, err := client.Get(key)
		if err != nil {
			return 0, err
		}
		return len(item.Value), nil
	}, func() { client.Close() }
}

// webDAV returns the URL of an nginx that stores what it is sent.
func webDAV(b *testing.B) string {
	s := testserver.Nginx(b, func(s *testserver.Server) string {
		return fmt.Sprintf(`keepalive_requests 1000000000; server { listen %s; location / {
			root %s/values; dav_methods PUT DELETE; create_full_put_path on; } }`, s.Addr, s.Dir)
	})
	return "http+store://" + s.Addr + "?allow=127.0.0.1"
}

// rawHTTP is net/http's client, with as many idle connections as there are goroutines.
func rawHTTP(b *testing.B, rawURL string) (func(context.Context, string) (int, error), func()) {
	u, err := url.Parse(rawURL)
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: goroutines}
	client := &http.Client{Transport: transport}
	return func(ctx context.Context, key string) (int, error) {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+u.Host+"/"+key, nil)
		if err != nil {
			return 0, err
		}
		res, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		v, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		return len(v), err
	}, transport.CloseIdleConnections
}

// rawFile reads the one file that has the value.
func rawFile(b *testing.B, rawURL string) (func(context.Context, string) (int, error), func()) {
	u, err := url.Parse(rawURL)
	if err != nil {
		b.Fatal(err)
	}
	greatest, size := "", int64(0)
	filepath.Walk(u.Path, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && info.Size() > size {
			greatest, size = path, info.Size()
		}
		return nil
	})
	return func(context.Context, string) (int, error) {
		v, err := os.ReadFile(greatest)
		return len(v), err
	}, func() {}
}
