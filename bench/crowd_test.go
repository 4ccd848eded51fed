package bench

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// slow is how long the handlers of this file take.
const slow = 200 * time.Millisecond

// crowd has n clients ask for one page at once, and returns how long each waited, the shortest wait
// first. cookie, when not empty, is what they carry.
func crowd(b *testing.B, h http.Handler, n int, cookie string) []time.Duration {
	waits := make([]time.Duration, n)
	begin := make(chan struct{})
	var ready, served sync.WaitGroup
	for i := range waits {
		ready.Add(1)
		served.Go(func() {
			w := &sink{header: http.Header{}}
			r := httptest.NewRequest("GET", "/page", nil)
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
			}
			ready.Done()
			<-begin
			start := time.Now()
			h.ServeHTTP(w, r)
			waits[i] = time.Since(start)
			if w.status != http.StatusOK {
				b.Errorf("status %d", w.status)
			}
		})
	}
	ready.Wait()
	close(begin)
	served.Wait()
	slices.Sort(waits)
	return waits
}

// BenchmarkCrowd has 10,000 clients ask for one page that nobody asked for before, and takes the
// time of the last of them beside that of the handler: with all that it takes to write the page to
// 10,000 clients, and without what the bare handler takes for that when it need not wait.
func BenchmarkCrowd(b *testing.B) {
	var runs atomic.Int64
	var last, waited []float64
	bare := page(1<<10, origin)
	for b.Loop() {
		written := crowd(b, bare, 10_000, "")
		s := memstore.New(64 << 20)
		runs.Store(0)
		waits := crowd(b, middleware.New(s, middleware.Options{}).Handler(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				runs.Add(1)
				time.Sleep(slow)
				w.Header().Set("Cache-Control", "max-age=60")
				w.Write(make([]byte, 1<<10))
			})), 10_000, "")
		s.Close()
		if n := runs.Load(); n != 1 {
			b.Errorf("the handler ran %d times", n)
		}
		all := waits[len(waits)-1]
		last = append(last, float64(all)/float64(slow))
		waited = append(waited, float64(all-written[len(written)-1])/float64(slow))
	}
	report(b, waited)
	b.ReportMetric(float64(runs.Load()), "runs")
	b.ReportMetric(median(last), "with-bodies-ratio")
}

// BenchmarkPrivateCrowd has 1,000 clients ask for one page that turns out private, and takes the
// time of all but the last percent of them beside that of the handler. Of clients without
// credentials nobody can know that before the handler has answered once, so they wait for one run
// and then for their own; with a cookie they wait for nobody.
func BenchmarkPrivateCrowd(b *testing.B) {
	for name, cookie := range map[string]string{"with-cookies": "session=1",
		"without-credentials": ""} {
		b.Run(name, func(b *testing.B) {
			var p99 []float64
			for b.Loop() {
				s := memstore.New(64 << 20)
				waits := crowd(b, middleware.New(s, middleware.Options{}).Handler(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						time.Sleep(slow)
						w.Header().Set("Cache-Control", "private")
						w.Write(make([]byte, 1<<10))
					})), 1000, cookie)
				s.Close()
				p99 = append(p99, float64(waits[989])/float64(slow))
			}
			report(b, p99)
		})
	}
}

// BenchmarkStream has 100 clients read along with a response of 100 MiB, one of whom stops reading.
// It takes the greatest heap beside what was there before, and the time that the others took beside
// that of the handler for one client alone.
func BenchmarkStream(b *testing.B) {
	const size, part, followers, bound = 100 << 20, 256 << 10, 100, 32 << 20
	write := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		piece := make([]byte, part)
		for range size / part {
			w.Write(piece)
			time.Sleep(100 * time.Microsecond) // so that the followers are there before it is over
		}
	})
	var heaps, ratios []float64
	for b.Loop() {
		start := time.Now()
		write(&sink{header: http.Header{}}, httptest.NewRequest("GET", "/", nil))
		alone := time.Since(start)

		s := memstore.New(64 << 20)
		c := middleware.New(s, middleware.Options{MaxFillBytes: bound})
		h := c.Handler(write)
		watch := watchHeap()
		stalled, let := make(chan struct{}), make(chan struct{})
		var others, all sync.WaitGroup
		start = time.Now()
		for i := range followers {
			w := &reading{sink: sink{header: http.Header{}}}
			if i == followers/2 {
				w.stalled, w.let = stalled, let
			}
			serve := func() {
				defer func() { recover() }() // who falls too far behind is cut off
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.stalled == nil && w.bytes != size {
					b.Errorf("a client got %d bytes", w.bytes)
				}
			}
			if w.stalled != nil {
				all.Go(serve)
			} else {
				others.Go(serve)
			}
		}
		others.Wait()
		ratios = append(ratios, float64(time.Since(start))/float64(alone))
		close(let)
		all.Wait()
		heaps = append(heaps, watch()/(1<<20))
		s.Close()
	}
	report(b, ratios)
	b.ReportMetric(median(heaps), "MiB-more")
	b.ReportMetric(bound>>20, "MiB-bound")
}

// reading counts what it is sent, and may stop to read in the middle.
type reading struct {
	sink
	bytes        int64
	stalled, let chan struct{}
}

func (w *reading) Write(p []byte) (int, error) {
	if w.bytes += int64(len(p)); w.stalled != nil && w.bytes > 1<<20 {
		<-w.let
	}
	return len(p), nil
}

// watchHeap looks at the heap until it is asked how far above what was there before it has been.
func watchHeap() func() float64 {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		greatest := before.HeapInuse
		for {
			select {
			case <-stop:
				most <- greatest
				return
			case <-time.After(5 * time.Millisecond):
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				greatest = max(greatest, now.HeapInuse)
			}
		}
	}()
	return func() float64 {
		close(stop)
		return float64(<-most - before.HeapInuse)
	}
}

// What the streams are made of is what they say.
func TestACrowdIsServed(t *testing.T) {
	s := memstore.New(1 << 20)
	defer s.Close()
	h := middleware.New(s, middleware.Options{}).Handler(origin(1 << 10))
	w := &reading{sink: sink{header: http.Header{}}}
	for i := range 3 {
		h.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprint("/", i), nil))
	}
	if w.bytes != 3<<10 {
		t.Errorf("%d bytes for three pages of 1 KiB", w.bytes)
	}
}
