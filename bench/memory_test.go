package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// numbered has bodies that differ, so that nothing is shared between them but what a handler would
// share.
func numbered(size int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "max-age=3600")
		body := make([]byte, size)
		copy(body, r.URL.Path)
		w.Write(body)
	}
}

func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// peakMemory is the most memory that this process has had of the machine, or 0 where the system
// does not tell.
func peakMemory() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	line, _, _ := bytes.Cut(rest, []byte("kB"))
	kib, _ := strconv.ParseFloat(string(bytes.TrimSpace(line)), 64)
	return kib * 1024
}

// BenchmarkMemoryBound asks a cache of 256 MiB for 2,000,000 pages of 1 KiB, and takes the live
// heap beside the bound.
func BenchmarkMemoryBound(b *testing.B) {
	const bound, pages = 256 << 20, 2_000_000
	var ratio float64
	for b.Loop() {
		before := liveHeap()
		s := memstore.New(bound)
		h := middleware.New(s, middleware.Options{}).Handler(numbered(1 << 10))
		c := newClient([]string{""})
		for i := range pages {
			c.uris[0] = "/articles/" + strconv.Itoa(i)
			c.ask(h, 0)
		}
		ratio = (liveHeap() - before) / bound
		runtime.KeepAlive(h)
		s.Close()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(peakMemory()/(1<<20), "MiB-peak-RSS")
}

// BenchmarkPage stores 300,000 pages of 1 KiB with nine fields and a path of 45 bytes, and takes
// what the heap has more for each of them, and how much of that the store's bound counts.
func BenchmarkPage(b *testing.B) {
	const pages = 300_000
	path := func(i int) string { return fmt.Sprintf("/catalogue/2026/november/articles/number-%07d", i) }
	var bytes, objects, counted float64
	for b.Loop() {
		s := memstore.New(2 << 30)
		made := numbered(1 << 10)
		h := middleware.New(s, middleware.Options{}).With(policy.Policy{})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Content-Type-Options", "nosniff")
				w.Header().Set("Content-Language", "en")
				made(w, r)
			}))
		c := newClient([]string{""})
		ask := func(i int) {
			c.uris[0] = path(i)
			c.ask(h, 0)
		}
		ask(pages) // what a cache takes once
		before, held, had := liveHeap(), liveObjects(), s.Bytes()
		for i := range pages {
			ask(i)
		}
		bytes, objects = (liveHeap()-before)/pages, (liveObjects()-held)/pages
		counted = float64(s.Bytes()-had) / pages / bytes
		runtime.KeepAlive(h)
		s.Close()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bytes, "heap-bytes")
	b.ReportMetric(objects, "heap-objects")
	b.ReportMetric(counted, "counted-ratio")
}

func liveObjects() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapObjects)
}

// BenchmarkMillion measures a hit among a million entries beside one among a thousand, and the
// processor time of a garbage collection with them beside that with a plain map of the same
// entries.
func BenchmarkMillion(b *testing.B) {
	made := func(keys int) (http.Handler, *memstore.Store) {
		s := memstore.New(8 << 30)
		return filled(middleware.New(s, middleware.Options{}).Handler(numbered(256)),
			targets(keys)), s
	}
	even := func(h http.Handler, keys int) side {
		return func() func() error {
			c, random := newClient(targets(1)), rand.New(rand.NewPCG(1, 2))
			return func() error {
				// made anew: a million of them in memory would take their time, too
				c.uris[0] = target(random.IntN(keys))
				c.ask(h, 0)
				return nil
			}
		}
	}
	b.Run("hit", func(b *testing.B) {
		few, s := made(1000)
		defer s.Close()
		many, s2 := made(1_000_000)
		defer s2.Close()
		beside(b, 1, even(few, 1000), even(many, 1_000_000))
	})
	b.Run("gc", func(b *testing.B) {
		var ratios []float64
		for b.Loop() {
			plain := make(map[string]*store.Entry)
			now := time.Now()
			for _, uri := range targets(1_000_000) {
				e := &store.Entry{
					Key: "GET http://example.com" + uri, URI: "http://example.com" + uri,
					Status: 200,
					Header: http.Header{
						"Content-Type":  {"text/html; charset=utf-8"},
						"Cache-Control": {"max-age=3600"}, "Content-Length": {"256"},
						"Date": {now.UTC().Format(http.TimeFormat)}, "Etag": {`"` + uri + `"`},
						"Last-Modified": {now.UTC().Format(http.TimeFormat)},
						"Accept-Ranges": {"bytes"},
					},
					Body: make([]byte, 256), Received: now, Fresh: time.Hour,
				}
				plain[e.Key] = e.Packed()
			}
			floor := collecting()
			runtime.KeepAlive(plain)
			plain = nil
			h, s := made(1_000_000)
			ratios = append(ratios, collecting()/floor)
			runtime.KeepAlive(h)
			s.Close()
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(median(ratios), "ratio")
	})
}

// collecting is the processor time of a garbage collection, in seconds.
func collecting() float64 {
	spent := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	runtime.GC()
	metrics.Read(spent)
	before := spent[0].Value.Float64()
	const times = 5
	for range times {
		runtime.GC()
	}
	metrics.Read(spent)
	return (spent[0].Value.Float64() - before) / times
}

// BenchmarkCrawler has a crawler read ten times as many pages as the cache holds, once each, among
// people who read by Zipf's law, and takes by how many points fewer of the people's requests are
// hits than without it.
func BenchmarkCrawler(b *testing.B) {
	// pages in the cache, requests by people, pages they read
	const held, requests, people = 10_000, 400_000, 30_000
	share := func(crawled bool) float64 {
		s := memstore.New(held * 3 << 10)
		defer s.Close()
		runs := 0
		made := numbered(1 << 10)
		h := middleware.New(s, middleware.Options{}).Handler(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				runs++
				made(w, r)
			}))
		c, next := newClient(targets(people)), picker(people, 1)
		crawler, crawls := newClient([]string{""}), 0
		misses := 0
		for i := range requests {
			before := runs
			c.ask(h, next())
			if i >= requests/4 { // warm by then
				misses += runs - before
			}
			if crawled && i >= requests/4 && i%3 == 0 && crawls < 10*held {
				crawls++
				crawler.uris[0] = "/archive/" + strconv.Itoa(crawls)
				crawler.ask(h, 0)
			}
		}
		return 100 * (1 - float64(misses)/(requests*3/4))
	}
	var fell, without float64
	for b.Loop() {
		without = share(false)
		fell = without - share(true)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(without, "%hits-without")
	b.ReportMetric(fell, "points-fewer")
}
