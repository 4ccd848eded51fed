package metrics

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"
)

// Bounds are the upper bounds of the buckets of every [Histogram], each of them included. What is
// longer than the last is in a bucket of its own.
var Bounds = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour,
}

const buckets = len(Bounds) + 1

// Histogram counts times.
type Histogram struct {
	Count   uint64
	Sum     time.Duration
	Buckets [buckets]uint64 // Buckets[i] counts what is at most Bounds[i] and more than Bounds[i-1]
}

// Quantile returns the upper bound of the bucket in which the fraction q of what was counted ends,
// from 0 to 1: of 100 times, Quantile(0.99) is at least the 99th. It is 0 when nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := q*float64(h.Count), uint64(0)
	for i, n := range h.Buckets {
		if seen += n; n > 0 && float64(seen) >= rank {
			return Bounds[min(i, len(Bounds)-1)]
		}
	}
	return 0
}

// Add adds what another histogram has counted.
func (h *Histogram) Add(other *Histogram) {
	h.Count += other.Count
	h.Sum += other.Sum
	for i, n := range other.Buckets {
		h.Buckets[i] += n
	}
}

// histogram is a Histogram that counts.
type histogram struct {
	sum     atomic.Uint64
	buckets [buckets]atomic.Uint64
}

func (h *histogram) add(d time.Duration) {
	h.sum.Add(uint64(max(d, 0)))
	h.buckets[bucket(d)].Add(1)
}

// bucket returns where d counts.
func bucket(d time.Duration) int {
	low, high := 0, len(Bounds)
	for low < high {
		if middle := (low + high) / 2; Bounds[middle] < d {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// into adds what was counted to h.
func (h *histogram) into(to *Histogram) {
	to.Sum += time.Duration(h.sum.Load())
	for i := range h.buckets {
		n := h.buckets[i].Load()
		to.Buckets[i] += n
		to.Count += n
	}
}

// here returns one of eight places, by where the caller's stack lies: goroutines that run at the
// same time seldom share one.
func here() int {
	var b byte
	address := uint64(uintptr(unsafe.Pointer(&b)) >> 11) // the least stack is 2 KiB
	return int(address * 0x9e3779b97f4a7c15 >> 61)
}

// sort puts the series in an order that does not change: by resource, result and reason.
func (s *Snapshot) sort() {
	slices.SortFunc(s.Series, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Result, b.Result),
			cmp.Compare(a.Reason, b.Reason))
	})
}
