// Package bench measures Freshet beside its floor: the bare handler that a hit replaces, in the
// same run. It is a module of its own, so that what it compares with stays out of Freshet's
// dependencies.
package bench

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// page is the bare handler: it sets the header fields that a hit has and writes the body.
func page(size int, handler func(size int) http.HandlerFunc) http.HandlerFunc {
	made := handler(size)
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
type sink struct {
	header http.Header
	status int
}

func (w *sink) Header() http.Header         { return w.header }
func (w *sink) Write(p []byte) (int, error) { return len(p), nil }
func (w *sink) WriteHeader(status int)      { w.status = status }

func (w *sink) reset() { w.header = make(http.Header) }

// client asks for one page after the other, in one request that it uses again: as in a server,
// which has just read the request when the handler gets it, the request is at hand and only the key
// is new.
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
		uris[i] = target(i)
	}
	return uris
}

func target(i int) string { return "/articles/" + strconv.Itoa(i) + "?page=1" }

// kinds are the hits that are measured.
var kinds = []struct {
	name    string
	size    int
	keys    int
	handler func(size int) http.HandlerFunc // what it does besides
}{
	{"1KiB", 1 << 10, 1, origin},
	{"64KiB", 64 << 10, 1, origin},
	{"100000-keys", 1 << 10, 100_000, origin},
	{"5-tags", 1 << 10, 1, tagged},
	{"vary", 1 << 10, 1, varying},
}

func tagged(size int) http.HandlerFunc {
	made := origin(size)
	return func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).Tag("articles", "article-1", "author-1", "section-1",
			"front")
		made(w, r)
	}
}

func varying(size int) http.HandlerFunc {
	made := origin(size)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		made(w, r)
	}
}

// BenchmarkHit measures a hit in memory beside the bare handler, which sets the same fields and
// writes the same body. Both run in a process that holds the filled cache: what is compared is
// answering a request, with the same heap and the same garbage collector under both.
func BenchmarkHit(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			s := memstore.New(int64(k.keys)*int64(k.size+4<<10)*5/4 + 64<<20)
			defer s.Close()
			uris := targets(k.keys)
			cached := filled(middleware.New(s, middleware.Options{}).Handler(k.handler(k.size)),
				uris)
			bare := page(k.size, k.handler)
			b.Run("serial", func(b *testing.B) {
				beside(b, 1, asking(bare, uris), asking(cached, uris))
			})
			b.Run("parallel", func(b *testing.B) {
				beside(b, runtime.GOMAXPROCS(0), asking(bare, uris), asking(cached, uris))
			})
		})
	}
}

// BenchmarkRoot is BenchmarkHit of 1 KiB in an app that is served through Cache.Root, which guards
// every response.
func BenchmarkRoot(b *testing.B) {
	s := memstore.New(64 << 20)
	defer s.Close()
	uris := targets(1)
	cache := middleware.New(s, middleware.Options{})
	cached := filled(cache.Root(cache.Handler(origin(1<<10))), uris)
	bare := page(1<<10, origin)
	b.Run("serial", func(b *testing.B) { beside(b, 1, asking(bare, uris), asking(cached, uris)) })
	b.Run("parallel", func(b *testing.B) {
		beside(b, runtime.GOMAXPROCS(0), asking(bare, uris), asking(cached, uris))
	})
}

// BenchmarkEcho is BenchmarkHit in an echo app.
func BenchmarkEcho(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			s := memstore.New(int64(k.keys)*int64(k.size+4<<10)*5/4 + 64<<20)
			defer s.Close()
			uris := targets(k.keys)
			app := func(h http.Handler, use ...echo.MiddlewareFunc) http.Handler {
				e := echo.New()
				e.Use(use...)
				e.GET("/articles/:id", echo.WrapHandler(h))
				return e
			}
			cached := filled(app(k.handler(k.size), echocache.Middleware(middleware.New(s,
				middleware.Options{}))), uris)
			bare := app(page(k.size, k.handler))
			b.Run("serial", func(b *testing.B) {
				beside(b, 1, asking(bare, uris), asking(cached, uris))
			})
			b.Run("parallel", func(b *testing.B) {
				beside(b, runtime.GOMAXPROCS(0), asking(bare, uris), asking(cached, uris))
			})
		})
	}
}

// BenchmarkAnswer measures what else a hit can be answered with, beside the 200 with the whole
// body.
func BenchmarkAnswer(b *testing.B) {
	s := memstore.New(64 << 20)
	defer s.Close()
	uris := targets(1)
	cached := filled(middleware.New(s, middleware.Options{}).Handler(origin(1<<10)), uris)
	for _, a := range []struct {
		name, method, field, value string
		status                     int
	}{
		{"304", "GET", "If-None-Match", `"0123456789abcdef"`, http.StatusNotModified},
		{"HEAD", "HEAD", "", "", http.StatusOK},
		{"range", "GET", "Range", "bytes=100-199", http.StatusPartialContent},
	} {
		b.Run(a.name, func(b *testing.B) {
			beside(b, 1, asking(cached, uris), func() func() error {
				c := newClient(uris)
				c.r.Method = a.method
				if a.field != "" {
					c.r.Header.Set(a.field, a.value)
				}
				return func() error {
					c.ask(cached, 0)
					if c.w.status != a.status {
						return fmt.Errorf("status %d, want %d", c.w.status, a.status)
					}
					return nil
				}
			})
		})
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

// asking asks h for one page after the other.
func asking(h http.Handler, uris []string) side {
	var seed atomic.Uint64
	return func() func() error {
		c, next := newClient(uris), picker(len(uris), seed.Add(1))
		return func() error {
			c.ask(h, next())
			return nil
		}
	}
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
	h := middleware.New(s, middleware.Options{}).Handler(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
