package sealedstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// BenchmarkSealed says what sealing costs beside the plain backend in memory, for values of 4 KiB
// under a Store's keys.
func BenchmarkSealed(b *testing.B) {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = store.Options{Prefix: "blog:"}.BackendKey(fmt.Sprint("https://a.example/", i))
	}
	value := make([]byte, 4<<10)
	for _, bm := range []struct {
		name    string
		backend store.Backend
	}{
		{"plain", inMemory(b)},
		{"sealed", seal(b, inMemory(b), sealedstore.Options{Prefixes: []string{"blog:"}})},
	} {
		for _, key := range keys {
			if err := bm.backend.Set(b.Context(), key, value, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
		b.Run("Get/"+bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := bm.backend.Get(b.Context(), keys[i%len(keys)]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("Set/"+bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := bm.backend.Set(b.Context(), keys[i%len(keys)], value, time.Hour); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
