package main

import (
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

// verdict is what is found of one figure.
type verdict struct {
	figure
	shown         float64
	kept, reached bool // it is no worse than promised, no worse than asked
}

// judge looks at each figure that is promised of r. There is a fault when nothing is, or when r
// does not show it.
func judge(r result) (verdicts []verdict, fault string) {
	figures := promises[r.name]
	if len(figures) == 0 {
		return nil, "nothing is promised of it"
	}
	for _, f := range figures {
		shown, ok := r.metrics[f.metric]
		if !ok {
			return verdicts, "it shows no " + f.metric
		}
		best := shown
		switch f.metric {
		case "ratio":
			best -= r.metrics["±ratio"] / 2 // in the best quarter of the rounds
		case "freshet-allocs":
			best -= 0.5 // what the benchmark itself and the collector may add
		}
		verdicts = append(verdicts, verdict{f, shown, f.most == 0 || best <= f.most, f.asked == 0 ||
			best <= f.asked})
	}
	return verdicts, ""
}

// String is a line that says what was shown, and what was promised and asked.
func (v verdict) String() string {
	s := v.metric + " " + short(v.shown)
	if v.most > 0 {
		s += ", promised " + short(v.most)
	}
	if v.asked > 0 {
		s += ", asked " + short(v.asked)
	}
	return s
}

// short is a number as people write it.
func short(n float64) string {
	places := 2
	if n >= 1000 {
		places = 0
	}
	s := strconv.FormatFloat(n, 'f', places, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
