// Package bench measures Freshet beside its floor: the bare handler that a hit replaces, in the same
// run. It is a module of its own, so that what it compares with stays out of Freshet's dependencies.
package bench

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// page is the bare handler: it sets the header fields that a hit has and writes the body.
func page(size int) http.HandlerFunc {
	made := origin(size)
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Age", "0")
		h.Set("Cache-Status", "Freshet; hit; ttl=3600")
		made(w, r)
	}
}

// origin is the handler whose responses are stored: what the cache adds, it leaves out.
func origin(size int) http.HandlerFunc {
	body := make([]byte, size)
	length := strconv.Itoa(size)
	date := time.Now().UTC().Format(http.TimeFormat)
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Length", length)
		h.Set("Cache-Control", "max-age=3600")
		h.Set("Date", date)
		h.Set("Etag", `"0123456789abcdef"`)
		h.Set("Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT")
		h.Set("Accept-Ranges", "bytes")
		w.WriteHeader(http.StatusOK)
		w.Write(body)
	}
}

// sink is a client that costs nothing but what net/http's own header map costs.
type sink struct{ header http.Header }

func (w *sink) Header() http.Header         { return w.header }
func (w *sink) Write(p []byte) (int, error) { return len(p), nil }
func (w *sink) WriteHeader(int)             {}

func (w *sink) reset() { w.header = make(http.Header) }

// client asks for one page after the other, in one request that it uses again: as in a server, which has
// just read the request when the handler gets it, the request is at hand and only the key is new.
type client struct {
	w    sink
	r    *http.Request
	uris []string
}

func newClient(uris []string) *client {
	r := httptest.NewRequest("GET", "http://example.com"+uris[0], nil)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Accept-Encoding", "gzip, deflate, br")
	r.Header.Set("Accept-Language", "en-GB,en;q=0.9")
	return &client{r: r, uris: uris}
}

func (c *client) ask(h http.Handler, page int) {
	c.r.RequestURI = c.uris[page]
	c.r.URL.Path, c.r.URL.RawQuery, _ = strings.Cut(c.r.RequestURI, "?")
	c.w.reset()
	h.ServeHTTP(&c.w, c.r)
}

func targets(keys int) []string {
	uris := make([]string, keys)
	for i := range uris {
		uris[i] = "/articles/" + strconv.Itoa(i) + "?page=1"
	}
	return uris
}

// BenchmarkHit measures a hit in memory beside the bare handler, which sets the same fields and writes
// the same body. The ratio is the second over the first of each pair. Both run in a process that holds
// the filled cache: what is compared is answering a request, with the same heap and the same garbage
// collector under both.
func BenchmarkHit(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(25)) // 100,000 bodies of 64 KiB fill 6.5 GB: the default would make it 13
	for _, size := range []int{1 << 10, 64 << 10} {
		for _, keys := range []int{1, 100_000} {
			b.Run(fmt.Sprintf("%dKiB/keys=%d", size>>10, keys), func(b *testing.B) {
				s := memstore.New(int64(keys)*int64(size+4<<10)*5/4 + 64<<20)
				defer s.Close()
				uris := targets(keys)
				cached := filled(middleware.New(s).Handler(origin(size)), uris)
				b.Run("bare", func(b *testing.B) { measure(b, page(size), uris) })
				b.Run("freshet", func(b *testing.B) { measure(b, cached, uris) })
			})
		}
	}
}

// filled asks for everything once, so that what is measured is hits.
func filled(h http.Handler, uris []string) http.Handler {
	c := newClient(uris)
	for i := range uris {
		c.ask(h, i)
	}
	return h
}

func measure(b *testing.B, h http.Handler, uris []string) {
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		c, next := newClient(uris), picker(len(uris), 1)
		for b.Loop() {
			c.ask(h, next())
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		var seed atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			c, next := newClient(uris), picker(len(uris), seed.Add(1))
			for pb.Next() {
				c.ask(h, next())
			}
		})
	})
}

// picker returns which key is asked for next: by Zipf's law, as pages are.
func picker(keys int, seed uint64) func() int {
	if keys == 1 {
		return func() int { return 0 }
	}
	z := rand.NewZipf(rand.New(rand.NewPCG(seed, 1)), 1.1, 1, uint64(keys-1))
	picks := make([]int, 1<<16)
	for i := range picks {
		picks[i] = int(z.Uint64())
	}
	i := 0
	return func() int { i++; return picks[i&(1<<16-1)] }
}

// What is measured as a hit is one: the handler runs once for each key.
func TestWhatIsMeasuredIsAHit(t *testing.T) {
	s := memstore.New(64 << 20)
	defer s.Close()
	runs := 0
	bare := origin(1 << 10)
	h := middleware.New(s).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		bare(w, r)
	}))
	c := newClient(targets(10))
	for range 3 {
		for i := range c.uris {
			c.ask(h, i)
		}
	}
	if runs != 10 {
		t.Errorf("the handler ran %d times for 10 keys asked 3 times each", runs)
	}
}
