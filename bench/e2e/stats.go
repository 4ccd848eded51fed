package main

import "slices"

// spread is the median of some values, and the least and the greatest.
type spread struct {
	Median   float64 `json:"median"`
	Least    float64 `json:"least"`
	Greatest float64 `json:"greatest"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	middle := len(v) / 2
	median := v[middle]
	if len(v)%2 == 0 {
		median = (v[middle-1] + v[middle]) / 2
	}
	return spread{median, v[0], v[len(v)-1]}
}

// summary is what a contestant's turns come to. Those that failed are left out.
type summary struct {
	Turns        int    `json:"turns"` // that count
	CPUMicros    spread `json:"cpu_us_per_request"`
	PerSecond    spread `json:"requests_per_second"`
	P50Micros    spread `json:"p50_us"`
	P99Micros    spread `json:"p99_us"`
	Busy         spread `json:"core_busy"`
	BehindMicros spread `json:"redis_cpu_us_per_request"`

	// Beside the bare handler in the same round; Compared is in how many rounds both turns count.
	Compared       int    `json:"rounds_beside_bare"`
	CPURatio       spread `json:"cpu_ratio"`
	PerSecondRatio spread `json:"requests_per_second_ratio"`
	P99Ratio       spread `json:"p99_ratio"`
}

// summarize summarizes the turns of one contestant.
func summarize(turns []turn, contestant string) summary {
	bare := map[int]turn{}
	for _, t := range turns {
		if t.Contestant == bareName && t.Failed == "" {
			bare[t.Round] = t
		}
	}
	var own []turn
	var cpu, perSecond, p99 []float64 // ratios
	for _, t := range turns {
		if t.Contestant != contestant || t.Failed != "" {
			continue
		}
		own = append(own, t)
		if b, ok := bare[t.Round]; ok {
			cpu = append(cpu, t.CPUMicros/b.CPUMicros)
			perSecond = append(perSecond, t.PerSecond/b.PerSecond)
			p99 = append(p99, t.P99Micros/b.P99Micros)
		}
	}
	of := func(value func(turn) float64) spread {
		values := make([]float64, len(own))
		for i, t := range own {
			values[i] = value(t)
		}
		return spreadOf(values)
	}
	return summary{
		Turns:          len(own),
		CPUMicros:      of(func(t turn) float64 { return t.CPUMicros }),
		PerSecond:      of(func(t turn) float64 { return t.PerSecond }),
		P50Micros:      of(func(t turn) float64 { return t.P50Micros }),
		P99Micros:      of(func(t turn) float64 { return t.P99Micros }),
		Busy:           of(func(t turn) float64 { return t.Busy }),
		BehindMicros:   of(func(t turn) float64 { return t.BehindMicros }),
		Compared:       len(cpu),
		CPURatio:       spreadOf(cpu),
		PerSecondRatio: spreadOf(perSecond),
		P99Ratio:       spreadOf(p99),
	}
}
