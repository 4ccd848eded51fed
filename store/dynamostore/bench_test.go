package dynamostore

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// A read of 4 KiB by 8 goroutines: raw is the SDK's client alone, as it is made by default, bounded
// is ours with a context that ends, as the engine's do. At most 1.15 times raw is allowed;
// BenchmarkGetRatio tells what it is.
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
	ours := open(tb, shared(tb))
	raw := dynamodb.New(dynamodb.Options{Region: region, Credentials: aws.NewCredentialsCache(anybody),
		BaseEndpoint: aws.String(ours.config.Endpoint)})
	mustSet(tb, ours, "key", string(bytes.Repeat([]byte{'v'}, 4<<10)), time.Hour)
	in := &dynamodb.GetItemInput{TableName: &ours.config.Table, Key: keyOf("key", sortValue),
		ConsistentRead: aws.Bool(true)}
	return []getter{
		{"raw", func() error { _, err := raw.GetItem(context.Background(), in); return err }},
		{"freshet", func() error { _, err := ours.Get(context.Background(), "key"); return err }},
		{"bounded", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
			defer cancel()
			_, err := ours.Get(ctx, "key")
			return err
		}},
	}
}

// BenchmarkGetRatio reads in turns and reports how many times longer ours takes than raw: of the
// times of each, the median.
func BenchmarkGetRatio(b *testing.B) {
	all := getters(b)
	times := make([][]time.Duration, len(all))
	for b.Loop() {
		for i, g := range all {
			start := time.Now()
			if err := g.get(); err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], time.Since(start))
		}
	}
	median := func(i int) float64 {
		slices.Sort(times[i])
		return float64(times[i][len(times[i])/2])
	}
	for i, g := range all {
		b.ReportMetric(median(i)/1000, g.name+"-µs")
		b.ReportMetric(median(i)/median(0), g.name+"/raw")
	}
}
