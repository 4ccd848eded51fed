package bench

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// BenchmarkMiss measures a response that is stored beside the bare handler. The store is full, so
// that each stored response takes the place of another.
func BenchmarkMiss(b *testing.B) {
	s := memstore.New(64 << 20)
	defer s.Close()
	var n atomic.Int64
	fresh := func(h http.Handler) side {
		return func() func() error {
			c := newClient([]string{""})
			return func() error {
				c.uris[0] = "/articles/" + strconv.FormatInt(n.Add(1), 10)
				c.ask(h, 0)
				return nil
			}
		}
	}
	cached := fresh(middleware.New(s, middleware.Options{}).Handler(origin(1 << 10)))
	for fill, i := cached(), 0; i < 50_000; i++ {
		fill()
	}
	beside(b, 1, fresh(page(1<<10, origin)), cached)
}

// BenchmarkPass measures requests that are none of the cache's business beside the bare handler.
func BenchmarkPass(b *testing.B) {
	s := memstore.New(64 << 20)
	defer s.Close()
	c := middleware.New(s, middleware.Options{})
	bare := page(1<<10, origin)
	for _, k := range []struct {
		name, method string
		cached       http.Handler
	}{
		{"off", "GET", c.With(policy.Policy{Off: true})(origin(1 << 10))},
		{"POST", "POST", c.Handler(origin(1 << 10))},
	} {
		b.Run(k.name, func(b *testing.B) {
			ask := func(h http.Handler) side {
				return func() func() error {
					c := newClient(targets(1))
					c.r.Method = k.method
					return func() error { c.ask(h, 0); return nil }
				}
			}
			beside(b, 1, ask(bare), ask(k.cached))
		})
	}
}

// BenchmarkFirstByte measures how long after a handler's first flush the client's comes.
func BenchmarkFirstByte(b *testing.B) {
	s := memstore.New(64 << 20)
	defer s.Close()
	var flushed time.Time
	h := middleware.New(s, middleware.Options{}).Handler(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Write(make([]byte, 1<<10))
			flushed = time.Now()
			http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
			w.Write(make([]byte, 1<<10))
		}))
	var delays []float64
	n := 0
	for b.Loop() {
		n++
		w := &flushes{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequest("GET", "/"+strconv.Itoa(n), nil))
		if w.at.IsZero() {
			b.Fatal("the client's connection was never flushed")
		}
		delays = append(delays, float64(w.at.Sub(flushed)))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(delays), "delay-ns")
}

// flushes notes when it was flushed first.
type flushes struct {
	*httptest.ResponseRecorder
	at time.Time
}

func (w *flushes) Flush() {
	if w.at.IsZero() {
		w.at = time.Now()
	}
	w.ResponseRecorder.Flush()
}
