package main

import (
	"maps"
	"testing"
)

func TestRead(t *testing.T) {
	r, ok := read("BenchmarkHit/1KiB/serial-2 \t 58\t 14.00 floor-allocs\t 1.5e3 freshet-ns\t 1.449 ratio\t 0.15 ±ratio")
	want := map[string]float64{"floor-allocs": 14, "freshet-ns": 1500, "ratio": 1.449, "±ratio": 0.15}
	if !ok || r.name != "Hit/1KiB/serial" || !maps.Equal(r.metrics, want) {
		t.Errorf("%v, %t", r, ok)
	}
	if r, ok := read("BenchmarkMiss \t 58\t 1.2 ratio"); !ok || r.name != "Miss" {
		t.Errorf("on one core: %v, %t", r, ok)
	}
	for _, line := range []string{"", "PASS", "goos: linux", "ok  \tgithub.com/freshet-go/freshet/bench\t1.0s", "BenchmarkHit-2 5 x ratio", "cpu: AMD EPYC 7B13 64-Core"} {
		if r, ok := read(line); ok {
			t.Errorf("%q is %v", line, r)
		}
	}
}

func TestJudge(t *testing.T) {
	good := map[string]float64{"ratio": 1.5, "±ratio": 0.1, "freshet-allocs": 6.001}
	for story, c := range map[string]struct {
		name   string
		change map[string]float64
		faults int
	}{
		"as promised":               {"Hit/1KiB/serial", nil, 0},
		"slow in some rounds":       {"Hit/1KiB/serial", map[string]float64{"ratio": 1.9, "±ratio": 0.8}, 0},
		"slow in nearly all rounds": {"Hit/1KiB/serial", map[string]float64{"ratio": 1.9}, 1},
		"one allocation more":       {"Hit/1KiB/serial", map[string]float64{"freshet-allocs": 7}, 1},
		"both":                      {"Hit/1KiB/serial", map[string]float64{"ratio": 3, "freshet-allocs": 9}, 2},
		"nothing promised":          {"Hit/new", nil, 1},
	} {
		metrics := maps.Clone(good)
		maps.Copy(metrics, c.change)
		if faults := judge(result{c.name, metrics}); len(faults) != c.faults {
			t.Errorf("%s: %q, want %d", story, faults, c.faults)
		}
	}
}
