package bench

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// side is one of two things that are compared. It is called once for each goroutine, and returns
// what that goroutine does again and again.
type side func() (do func() error)

// always is a side whose goroutines have nothing of their own.
func always(do func() error) side { return func() func() error { return do } }

// round is how long each side runs before it is the other's turn.
const round = 20 * time.Millisecond

// beside runs two sides in turns, a pair of rounds for each b.Loop, by as many goroutines. It
// reports the median time of each, the median ratio of a pair, how far apart half of the ratios
// lie, and what each allocates. So a machine that is busy with something else for a while slows
// both.
func beside(b *testing.B, goroutines int, floor, ours side) {
	f, o := newRunner(goroutines, floor), newRunner(goroutines, ours)
	f.run(b)
	o.run(b)
	f.reset()
	o.reset()
	var ratios, more []float64
	for b.Loop() {
		before, after := f.run(b), o.run(b)
		ratios, more = append(ratios, after/before), append(more, after-before)
	}
	report(b, ratios) // in place of the time of a pair of rounds
	b.ReportMetric(median(f.times), "floor-ns")
	b.ReportMetric(median(o.times), "freshet-ns")
	b.ReportMetric(median(more), "more-ns")
	b.ReportMetric(f.allocations(), "floor-allocs")
	b.ReportMetric(o.allocations(), "freshet-allocs")
}

// report says what the ratios are in the middle, and how far apart half of them lie, and nothing of
// the time that b took.
func report(b *testing.B, ratios []float64) {
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(ratios[len(ratios)*3/4]-ratios[len(ratios)/4], "±ratio")
}

// runner runs one side.
type runner struct {
	does  []func() error
	times []float64 // of a call, in nanoseconds, for each round
	calls int64
	made  uint64 // allocations
}

func newRunner(goroutines int, s side) *runner {
	r := &runner{does: make([]func() error, goroutines)}
	for i := range r.does {
		r.does[i] = s()
	}
	return r
}

func (r *runner) reset() { r.times, r.calls, r.made = nil, 0, 0 }

// run is one round. It returns the time that passed, divided by the calls that were made in it.
func (r *runner) run(b *testing.B) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var calls atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for _, do := range r.does {
		group.Go(func() {
			n := int64(0)
			for time.Since(start) < round {
				for range 16 {
					if err := do(); err != nil {
						b.Error(err)
						return
					}
				}
				n += 16
			}
			calls.Add(n)
		})
	}
	group.Wait()
	took := float64(time.Since(start)) / float64(calls.Load())
	runtime.ReadMemStats(&after)
	r.times = append(r.times, took)
	r.calls += calls.Load()
	r.made += after.Mallocs - before.Mallocs
	return took
}

// allocations is how many one call makes.
func (r *runner) allocations() float64 { return float64(r.made) / float64(r.calls) }

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
