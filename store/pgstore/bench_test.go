package pgstore

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// BenchmarkGet reads a value of 4 KiB from 8 goroutines, through the backend and in turn through
// pgx alone, so that both meet the same machine. It reports what ours costs, and how many times
// pgx's that is.
func BenchmarkGet(b *testing.B) {
	const goroutines, turn = 8, 100
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

	ctx := context.Background()
	const sql = `SELECT value FROM freshet_cache WHERE key = $1 AND expires > now()`
	read := func(get func() ([]byte, error)) time.Duration {
		var all sync.WaitGroup
		start := time.Now()
		for range goroutines {
			all.Go(func() {
				for range turn {
					if got, err := get(); err != nil || len(got) != len(value) {
						b.Errorf("%d bytes, %v", len(got), err)
						return
					}
				}
			})
		}
		all.Wait()
		return time.Since(start)
	}
	ours := func() time.Duration {
		return read(func() ([]byte, error) { return backend.Get(ctx, "key") })
	}
	theirs := func() time.Duration {
		return read(func() (got []byte, err error) {
			err = raw.QueryRow(ctx, sql, "key").Scan(&got)
			return got, err
		})
	}
	ours() // connections and plans
	theirs()
	var our, their time.Duration
	reads := 0
	for b.Loop() {
		their += theirs()
		our += ours()
		reads += goroutines * turn
	}
	b.ReportMetric(0, "ns/op") // of both together: not shown
	b.ReportMetric(float64(our)/float64(reads), "ns/read")
	b.ReportMetric(float64(our)/float64(their), "x-pgx")
}
