package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{9, 1, 5}, spread{5, 1, 9}},
		{[]float64{4, 1, 2, 8}, spread{3, 1, 8}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("%v: got %+v, want %+v", c.values, got, c.want)
		}
	}
}

// A ratio is one of a round, so a slow round, slow for both, does not show in it; a turn that
// failed counts for nothing, and neither does what stood beside it.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	of := func(round int, contestant string, cpu float64, failed string) turn {
		return turn{Round: round, Contestant: contestant, CPUMicros: cpu, PerSecond: 1e6 / cpu,
			P99Micros: cpu, Failed: failed}
	}
	s := summarize([]turn{
		of(1, "bare", 10, ""), of(1, "freshet", 12, ""),
		of(2, "freshet", 36, ""), of(2, "bare", 30, ""),
		of(3, "bare", 10, ""), of(3, "freshet", 500, "7 socket errors"),
		of(4, "bare", 1, "7 socket errors"), of(4, "freshet", 13, ""),
	}, "freshet")
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-9 }
	if s.Turns != 3 || s.Compared != 2 {
		t.Errorf("%d turns and %d beside bare, want 3 and 2", s.Turns, s.Compared)
	}
	if !near(s.CPURatio.Least, 1.2) || !near(s.CPURatio.Greatest, 1.2) ||
		!near(s.PerSecondRatio.Median, 1/1.2) {
		t.Errorf("CPU %+v, requests/s %+v: want 1.2 and its inverse", s.CPURatio, s.PerSecondRatio)
	}
	if s.CPUMicros != (spread{13, 12, 36}) {
		t.Errorf("CPU time: %+v", s.CPUMicros)
	}
}

func TestATurnIsJudged(t *testing.T) {
	fine := load{requests: 1000, took: time.Second, perSecond: 1000, p50: time.Millisecond,
		p99: 2 * time.Millisecond}
	with := func(change func(*load)) load { l := fine; change(&l); return l }
	before, after := counters{cpu: time.Second, runs: 5}, counters{cpu: 1500 * time.Millisecond,
		behind: 100 * time.Millisecond, runs: 5}
	ran := after
	ran.runs = 8
	for _, c := range []struct {
		name   string
		kind   kind
		load   load
		after  counters
		failed string
	}{
		{"all well", ours, fine, after, ""},
		{"the bare handler runs", floor, fine, ran, ""},
		{"a cache's handler runs", other, fine, ran, "its handler ran 3 times"},
		{"socket errors", ours, with(func(l *load) { l.errors = 2 }), after, "2 socket errors"},
		{"not 2xx", ours, with(func(l *load) { l.non2xx = 4 }), after, "4 answers were not 2xx"},
		{"nothing answered", ours, with(func(l *load) { l.requests = 0 }), after, "no request"},
	} {
		got := judged(c.kind == floor, c.load, before, c.after)
		if (c.failed == "") != (got.Failed == "") || !strings.Contains(got.Failed, c.failed) {
			t.Errorf("%s: failed %q, want %q", c.name, got.Failed, c.failed)
		}
	}
	got := judged(false, fine, before, after)
	if got.CPUMicros != 500 || got.BehindMicros != 100 || got.Busy != 0.5 ||
		got.CPUSeconds != 0.5 || got.P50Micros != 1000 || got.P99Micros != 2000 {
		t.Errorf("got %+v", got)
	}
}
