package redisstore

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
)

// BenchmarkGet reads 4 KiB by 8 goroutines, with the driver and with the client alone: the driver
// may cost 1.15 times as much.
func BenchmarkGet(b *testing.B) {
	s := testserver.SharedRedis(b)
	backend := open(b, s.URL)
	if err := backend.Set(b.Context(), "bench", make([]byte, 4096), time.Hour); err != nil {
		b.Fatal(err)
	}
	raw := redis.NewClient(&redis.Options{Addr: s.Addr})
	b.Cleanup(func() { raw.Close() })
	for name, get := range map[string]func() ([]byte, error){
		"driver": func() ([]byte, error) { return backend.Get(b.Context(), "bench") },
		"client": func() ([]byte, error) { return raw.Get(b.Context(), "bench").Bytes() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(4) // times GOMAXPROCS, which is 2 where this is measured
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if value, err := get(); err != nil || len(value) != 4096 {
						b.Fatal(len(value), err)
					}
				}
			})
		})
	}
}
