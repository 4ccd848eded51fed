package pgstore

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// What a read costs beside the same read by pgx alone: 4 KiB, 8 goroutines.
func BenchmarkGet(b *testing.B) {
	url := database(b)
	backend := open(b, url+"&sweep=0")
	value := bytes.Repeat([]byte("0123456789abcdef"), 256)
	if err := backend.Set(b.Context(), "key", value, time.Hour); err != nil {
		b.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(url + "&pool_max_conns=20")
	if err != nil {
		b.Fatal(err)
	}
	raw, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	const sql = `SELECT value FROM freshet_cache WHERE key = $1 AND expires > now()`
	ctx := context.Background()
	for _, way := range []struct {
		name string
		get  func() ([]byte, error)
	}{
		{"pgx", func() (got []byte, err error) {
			err = raw.QueryRow(ctx, sql, "key").Scan(&got)
			return got, err
		}},
		{"pgstore", func() ([]byte, error) { return backend.Get(ctx, "key") }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetParallelism(8)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if got, err := way.get(); err != nil || len(got) != len(value) {
						b.Errorf("%d bytes, %v", len(got), err)
						return
					}
				}
			})
		})
	}
}
