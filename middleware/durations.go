package middleware

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

// durations has how long the runs of a mount's handler take: moving averages over all of them, and
// over those for each path. Paths that share a place are taken for one. It is safe for concurrent
// use; of two runs that end at once, one may not count.
type durations struct {
	all   atomic.Int64 // in nanoseconds; 0: there was no run
	paths atomic.Pointer[[durationPaths]atomic.Int64]
}

const durationPaths = 256

func (d *durations) place(path string) *atomic.Int64 {
	paths := d.paths.Load()
	if paths == nil {
		paths = new([durationPaths]atomic.Int64)
		if !d.paths.CompareAndSwap(nil, paths) {
			paths = d.paths.Load()
		}
	}
	return &paths[maphash.String(seed, path)%durationPaths]
}

// note notes a run.
func (d *durations) note(path string, took time.Duration) {
	for _, average := range []*atomic.Int64{&d.all, d.place(path)} {
		before := average.Load()
		if before == 0 {
			before = int64(took)
		}
		average.Store(max(1, before+(int64(took)-before)/4))
	}
}

// expected returns how long a run for the path will take, as far as is known.
func (d *durations) expected(path string) (took time.Duration, known bool) {
	if own := d.place(path).Load(); own > 0 {
		return time.Duration(own), true
	}
	all := d.all.Load()
	return time.Duration(all), all > 0
}
