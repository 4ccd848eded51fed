package tieredstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// BenchmarkNear says what a near hit costs beside memory alone, with marks that cover other pages.
func BenchmarkNear(b *testing.B) {
	const pages = 10_000
	near, replica := memory(b), invalidation.NewReplica(0)
	s := New(near, store.New(backend(b), store.Options{}), Options{})
	s.Follow(replica)
	keys := make([]string, pages)
	for i := range keys {
		keys[i] = fmt.Sprintf("GET https://a.example/some/path/%d", i)
		e := &store.Entry{Key: keys[i], URI: keys[i], Number: 1, Received: time.Now(),
			Fresh: time.Hour, Body: make([]byte, 1000)}
		if err := s.Set(b.Context(), e.Key, e.Packed(), time.Hour); err != nil {
			b.Fatal(err)
		}
	}
	ctx := b.Context()
	for _, bm := range []struct {
		name string
		get  func(key string) bool
	}{
		{"memstore Get", func(key string) bool { _, err := near.Get(ctx, key); return err == nil }},
		{"GetNear", func(key string) bool { return s.GetNear(key) != nil }},
		{"Get", func(key string) bool { _, err := s.Get(ctx, key); return err == nil }},
		{"GetNear, marks to compare with", func(key string) bool { return s.GetNear(key) != nil }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			if bm.name == "GetNear, marks to compare with" {
				replica.Apply(store.Numbered{Mark: store.Mark{Kind: store.MarkKey, Name: "another"},
					Number: 2})
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if !bm.get(keys[i*7919%pages]) {
						b.Fatal("not near")
					}
				}
			})
		})
	}
}
