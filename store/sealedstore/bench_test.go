package sealedstore_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// BenchmarkSealed says what sealing costs beside the plain backend in memory, for values of 4 KiB
// under a Store's keys. The two take turns, 100 calls each, so that a busy machine is as busy for
// both: the metrics have the fastest turn of each, which other work has disturbed least, and the
// one in the middle.
func BenchmarkSealed(b *testing.B) {
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = store.Options{Prefix: "blog:"}.BackendKey(fmt.Sprint("https://a.example/", i))
	}
	value := make([]byte, 4<<10)
	ctx := context.Background()
	plain := inMemory(b)
	sealed := seal(b, inMemory(b), sealedstore.Options{Prefixes: []string{"blog:"}})
	set := func(s store.Backend, key string) error { return s.Set(ctx, key, value, time.Hour) }
	get := func(s store.Backend, key string) error { _, err := s.Get(ctx, key); return err }
	for _, bm := range []struct {
		name string
		call func(store.Backend, string) error
	}{{"Set", set}, {"Get", get}} {
		b.Run(bm.name, func(b *testing.B) {
			var turns [2][]time.Duration
			for b.Loop() {
				for i, s := range []store.Backend{plain, sealed} {
					began := time.Now()
					for _, key := range keys {
						if err := bm.call(s, key); err != nil {
							b.Fatal(err)
						}
					}
					turns[i] = append(turns[i], time.Since(began)/time.Duration(len(keys)))
				}
			}
			for _, each := range turns {
				slices.Sort(each)
			}
			for _, at := range []struct {
				name  string
				share int
			}{{"least", 0}, {"median", 2}} {
				var ns [2]float64
				for i, each := range turns {
					n := 0
					if at.share > 0 {
						n = len(each) / at.share
					}
					ns[i] = float64(each[n])
				}
				b.ReportMetric(ns[0], at.name+"-plain-ns")
				b.ReportMetric(ns[1], at.name+"-sealed-ns")
				b.ReportMetric(ns[1]-ns[0], at.name+"-more-ns")
				b.ReportMetric(ns[1]/ns[0], at.name+"-ratio")
			}
		})
	}
}
