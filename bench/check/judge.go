package main

import (
	"fmt"
	"strconv"
	"strings"
)

// result is what one benchmark printed.
type result struct {
	name    string // without "Benchmark" and the number of cores
	metrics map[string]float64
}

// read reads a line of go test's output; ok is false when it is none of a benchmark.
func read(line string) (r result, ok bool) {
	words := strings.Fields(line)
	if len(words) < 4 || len(words)%2 != 0 {
		return result{}, false
	}
	name, isBenchmark := strings.CutPrefix(words[0], "Benchmark")
	if !isBenchmark {
		return result{}, false
	}
	if i := strings.LastIndexByte(name, '-'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
		name = name[:i]
	}
	r = result{name, make(map[string]float64)}
	for i := 2; i < len(words); i += 2 {
		value, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			return result{}, false
		}
		r.metrics[words[i+1]] = value
	}
	return r, true
}

// judge says in what r is worse than promised. A benchmark of which nothing is promised is a fault, too.
func judge(r result) (faults []string) {
	p, ok := promises[r.name]
	if !ok {
		return []string{"nothing is promised of it"}
	}
	ratio, noise := r.metrics["ratio"], r.metrics["±ratio"]
	if best := ratio - noise/2; p.ratio > 0 && best > p.ratio {
		faults = append(faults, fmt.Sprintf("%.2f times its floor, and %.2f in the best quarter of the rounds; promised are %.2f", ratio, best, p.ratio))
	}
	// Half an allocation is what the benchmark itself and the collector may add.
	if made := r.metrics["freshet-allocs"]; made > p.allocations+0.5 {
		faults = append(faults, fmt.Sprintf("%.1f allocations; promised are %.0f", made, p.allocations))
	}
	return faults
}
