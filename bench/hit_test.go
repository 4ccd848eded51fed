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
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// page is the bare handler: it sets the header fields that a hit has and writes the body.
func page(size int) http.HandlerFunc {
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
		h.Set("Age", "0")
		h.Set("Cache-Status", "Freshet; hit; ttl=3600")
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

func requests(keys int) []*http.Request {
	rs := make([]*http.Request, keys)
	for i := range rs {
		r := httptest.NewRequest("GET", "http://example.com/articles/"+strconv.Itoa(i)+"?page=1", nil)
		r.RequestURI = "/articles/" + strconv.Itoa(i) + "?page=1"
		r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
		r.Header.Set("Accept", "text/html,application/xhtml+xml")
		r.Header.Set("Accept-Encoding", "gzip, deflate, br")
		r.Header.Set("Accept-Language", "en-GB,en;q=0.9")
		rs[i] = r
	}
	return rs
}

// BenchmarkHit measures a hit in memory beside the bare handler, which sets the same fields and
// writes the same body. The ratio is the second over the first of each pair.
func BenchmarkHit(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(25)) // 100,000 bodies of 64 KiB fill 6.5 GB
	for _, size := range []int{1 << 10, 64 << 10} {
		for _, keys := range []int{1, 100_000} {
			for _, mount := range []string{"bare", "freshet"} {
				b.Run(fmt.Sprintf("%dKiB/keys=%d/%s", size>>10, keys, mount), func(b *testing.B) {
					h, rs := http.Handler(page(size)), requests(keys)
					if mount == "freshet" {
						s := memstore.New(int64(keys)*int64(size+4<<10)*5/4 + 64<<20)
						defer s.Close()
						h = filled(middleware.New(s).Handler(h), rs)
					}
					measure(b, h, rs)
				})
			}
		}
	}
}

// filled asks for everything once, so that what is measured is hits.
func filled(h http.Handler, rs []*http.Request) http.Handler {
	for _, r := range rs {
		w := &sink{}
		w.reset()
		h.ServeHTTP(w, r)
	}
	return h
}

func measure(b *testing.B, h http.Handler, rs []*http.Request) {
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		next := picker(len(rs), 1)
		w := &sink{}
		for b.Loop() {
			w.reset()
			h.ServeHTTP(w, rs[next()])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		var seed atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			next := picker(len(rs), seed.Add(1))
			w := &sink{}
			for pb.Next() {
				w.reset()
				h.ServeHTTP(w, rs[next()])
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
	bare := page(1 << 10)
	h := middleware.New(s).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		bare(w, r)
	}))
	for range 3 {
		for _, r := range requests(10) {
			w := &sink{}
			w.reset()
			h.ServeHTTP(w, r)
		}
	}
	if runs != 10 {
		t.Errorf("the handler ran %d times for 10 keys asked 3 times each", runs)
	}
}
