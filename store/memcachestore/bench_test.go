package memcachestore

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
)

// A read of 4 KiB by 8 goroutines: raw is the vendor's client alone, bounded is ours with a context
// that ends, as the engine's do. At most 1.15 times raw is allowed; BenchmarkGetRatio tells what it
// is.
func BenchmarkGet(b *testing.B) {
	for _, bench := range getters(b) {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism((8 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := bench.get(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

type getter struct {
	name string
	get  func() error
}

func getters(tb testing.TB) []getter {
	s := testserver.SharedMemcached(tb)
	ours := open(tb, patient, s.Addr)
	raw := memcache.New(s.Addr)
	raw.MaxIdleConns, raw.Timeout = defaultPoolSize, patient.Timeout
	tb.Cleanup(func() { raw.Close() })
	const key = "bench-get"
	value := bytes.Repeat([]byte{'v'}, 4<<10)
	if err := raw.Set(&memcache.Item{Key: key + "-raw", Value: value}); err != nil {
		tb.Fatal(err)
	}
	mustSet(tb, ours, key, string(value), time.Hour)
	return []getter{
		{"raw", func() error { _, err := raw.Get(key + "-raw"); return err }},
		{"freshet", func() error { _, err := ours.Get(context.Background(), key); return err }},
		{"bounded", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
			defer cancel()
			_, err := ours.Get(ctx, key)
			return err
		}},
	}
}

// The two in turn, so that what else the machine does befalls both: the ratios of the fastest
// rounds.
func BenchmarkGetRatio(b *testing.B) {
	const rounds, calls, workers = 30, 4000, 8
	all := getters(b)
	fastest := make([]time.Duration, len(all))
	for b.Loop() {
		for range rounds {
			for i, g := range all {
				start := time.Now()
				var work sync.WaitGroup
				for range workers {
					work.Go(func() {
						for range calls / workers {
							if err := g.get(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				work.Wait()
				if took := time.Since(start); fastest[i] == 0 || took < fastest[i] {
					fastest[i] = took
				}
			}
		}
	}
	for i, g := range all {
		b.ReportMetric(float64(fastest[i])/float64(fastest[0]), g.name+"/raw")
	}
}

// What is allocated does not depend on what else the machine does.
func TestGetAllocatesWhatRawDoes(t *testing.T) {
	all := getters(t)
	allocs := func(g getter) float64 {
		return testing.AllocsPerRun(200, func() {
			if err := g.get(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if raw, ours := allocs(all[0]), allocs(all[1]); ours > raw {
		t.Errorf("Get allocates %v times, the vendor's client alone %v times", ours, raw)
	}
}
