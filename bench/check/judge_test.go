package main

import (
	"maps"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	r, ok := read("BenchmarkHit/1KiB/serial-2 \t 58\t 14.00 floor-allocs\t 1.5e3 freshet-ns\t " +
		"1.449 ratio\t 0.15 ±ratio")
	want := map[string]float64{"floor-allocs": 14, "freshet-ns": 1500, "ratio": 1.449,
		"±ratio": 0.15}
	if !ok || r.name != "Hit/1KiB/serial" || !maps.Equal(r.metrics, want) {
		t.Errorf("%v, %t", r, ok)
	}
	if r, ok := read("BenchmarkMiss \t 58\t 1.2 ratio"); !ok || r.name != "Miss" {
		t.Errorf("on one core: %v, %t", r, ok)
	}
	for _, line := range []string{"", "PASS", "goos: linux",
		"ok  \tgithub.com/freshet-go/freshet/bench\t1.0s", "BenchmarkHit-2 5 x ratio",
		"cpu: AMD EPYC 7B13 64-Core"} {
		if r, ok := read(line); ok {
			t.Errorf("%q is %v", line, r)
		}
	}
}

func TestJudge(t *testing.T) {
	good := map[string]float64{"ratio": 1.3, "±ratio": 0.1, "freshet-allocs": 5.001}
	for story, c := range map[string]struct {
		name          string
		change        map[string]float64
		kept, reached int // of two
		fault         bool
	}{
		"as promised": {"Hit/1KiB/serial", nil, 2, 1, false},
		"as asked": {"Hit/1KiB/serial", map[string]float64{"ratio": 1.2}, 2, 2,
			false},
		"slow in some rounds": {"Hit/1KiB/serial", map[string]float64{"ratio": 1.9,
			"±ratio": 1.4}, 2, 2, false},
		"slow in nearly all rounds": {"Hit/1KiB/serial", map[string]float64{"ratio": 1.9}, 1, 1,
			false},
		"one allocation more": {"Hit/1KiB/serial", map[string]float64{"freshet-allocs": 6}, 1, 1,
			false},
		"both": {"Hit/1KiB/serial", map[string]float64{"ratio": 3, "freshet-allocs": 9},
			0, 0, false},
		"nothing promised": {"Hit/new", nil, 0, 0, true},
		"nothing shown":    {"Crawler", nil, 0, 0, true},
	} {
		metrics := maps.Clone(good)
		maps.Copy(metrics, c.change)
		verdicts, fault := judge(result{c.name, metrics})
		kept, reached := 0, 0
		for _, v := range verdicts {
			if v.kept {
				kept++
			}
			if v.reached {
				reached++
			}
		}
		if kept != c.kept || reached != c.reached || (fault != "") != c.fault {
			t.Errorf("%s: %v %q, kept %d, reached %d", story, verdicts, fault, kept, reached)
		}
	}
}

func TestVerdictsAreShort(t *testing.T) {
	for want, v := range map[string]verdict{
		"ratio 1.24, promised 1.3, asked 1.2": {figure: figure{"ratio", 1.2, 1.3}, shown: 1.2441},
		"more-ns 12940, asked 3000":           {figure: figure{"more-ns", 3000, 0}, shown: 12940.4},
		"runs 1, promised 1":                  {figure: figure{"runs", 0, 1}, shown: 1},
		"freshet-allocs 0, promised 100": {figure: figure{"freshet-allocs", 0, 100},
			shown: 0.00006},
	} {
		if got := v.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Each benchmark that is promised something has a turn, and only one.
func TestTurns(t *testing.T) {
	for name := range promises {
		n := 0
		for _, turn := range turns {
			if runs(turn.pattern, name) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s runs %d times", name, n)
		}
	}
}

// runs says whether go test -bench pattern runs the benchmark, part by part of its name.
func runs(pattern, name string) bool {
	for _, alternative := range strings.Split(pattern, "|") {
		parts, matches := strings.Split(name, "/"), true
		for i, p := range strings.Split(alternative, "/") {
			matches = matches && i < len(parts) && strings.Contains(parts[i], p)
		}
		if matches {
			return true
		}
	}
	return false
}
