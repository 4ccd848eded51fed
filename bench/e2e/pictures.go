package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// picture is a chart and the file that it goes to.
type picture struct {
	file string
	chart
}

const (
	lessIsBetter = "Shorter is better. The dashed line is the bare handler, which has no cache."
	moreIsBetter = "Longer is better. The dashed line is the bare handler, which has no cache."
)

// pictures are those of the report. Each has its best contestant on top.
func (r *results) pictures() []picture {
	return []picture{
		{"cpu.svg", chart{
			title: "CPU time per response from the cache", subtitle: lessIsBetter,
			axis: "µs of CPU time per request", unit: " µs", format: oneDecimal,
			bars: r.bars(1, func(s summary) (spread, spread) { return s.CPUMicros, s.CPURatio }),
		}},
		{"throughput.svg", chart{
			title: "Responses from the cache per second, on one core", subtitle: moreIsBetter,
			axis: "requests per second", unit: "/s", format: thousands,
			bars: r.bars(-1, func(s summary) (spread, spread) {
				return s.PerSecond, s.PerSecondRatio
			}),
		}},
		{"p99.svg", chart{
			title:    "99 % of requests are answered within this time, at full load",
			subtitle: lessIsBetter,
			axis: fmt.Sprintf("ms, the 99th percentile of latency with %d connections that "+
				"never pause", r.Settings.Connections), unit: " ms", format: milliseconds,
			bars: r.bars(1, func(s summary) (spread, spread) { return s.P99Micros, s.P99Ratio }),
		}},
	}
}

// bars are the contestants by one of their values: the least first, or, if direction is negative,
// last.
func (r *results) bars(direction int, of func(summary) (value, ratio spread)) []bar {
	var bars []bar
	for _, e := range r.Contestants {
		value, ratio := of(e.Summary)
		b := bar{label: e.Label, kind: e.Kind, value: value}
		switch {
		case e.Summary.Turns == 0:
			b.empty = "failed in all rounds"
		case e.Name != bareName && e.Summary.Compared > 0:
			b.note = fmt.Sprintf("%.2f × bare", ratio.Median)
		}
		bars = append(bars, b)
	}
	slices.SortStableFunc(bars, func(a, b bar) int {
		return cmp.Or(cmp.Compare(len(a.empty), len(b.empty)), direction*cmp.Compare(a.value.Median,
			b.value.Median))
	})
	return bars
}

func oneDecimal(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// milliseconds shows microseconds as milliseconds.
func milliseconds(us float64) string { return strconv.FormatFloat(us/1000, 'f', 2, 64) }

// thousands is 1,234,567.
func thousands(v float64) string {
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	var s strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			s.WriteByte(',')
		}
		s.WriteRune(d)
	}
	return s.String()
}
