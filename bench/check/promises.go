package main

// figure is one metric of a benchmark: the most that we set out for, and the most that may be
// shown. Where the first was reached they are the same, or nearly, for other machines are not this
// one. 0: nothing was said.
type figure struct {
	metric      string
	asked, most float64
}

// beside are the figures of a benchmark that runs beside a floor: the ratio to it, and the
// allocations in a call of ours.
func beside(ratio, mostRatio, allocations, mostAllocations float64) []figure {
	return []figure{{"ratio", ratio, mostRatio}, {"freshet-allocs", allocations, mostAllocations}}
}

// promises are what this module's benchmarks are held to. Five allocations of a hit are net/http's
// header map; echo makes one more for each middleware, and its mount another. A far hit's are the
// client's own and what an entry is made of. An entry in memory that nobody has asked for lately is
// made anew, which 100,000 keys and a million show: it takes half the memory for that.
var promises = map[string][]figure{
	"Hit/1KiB/serial":          beside(1.2, 1.3, 6, 5),
	"Hit/1KiB/parallel":        beside(1.5, 1.4, 6, 5),
	"Hit/64KiB/serial":         beside(1.5, 1.5, 6, 5),
	"Hit/64KiB/parallel":       beside(1.5, 1.5, 6, 5),
	"Hit/100000-keys/serial":   beside(1.5, 2.6, 6, 6),
	"Hit/100000-keys/parallel": beside(1.5, 2.4, 6, 6),
	"Hit/5-tags/serial":        beside(1.5, 1.5, 6, 5),
	"Hit/5-tags/parallel":      beside(1.5, 1.5, 6, 5),
	"Hit/vary/serial":          beside(1.5, 1.6, 6, 5),
	"Hit/vary/parallel":        beside(1.5, 1.6, 6, 5),

	// Beside the same hit that nobody observes. The door is one at which nobody looks.
	"Observed/prometheus/serial":   beside(1.05, 1.1, 5, 5),
	"Observed/prometheus/parallel": beside(1.05, 1.1, 5, 5),
	"Observed/json-log/serial":     beside(1.25, 1.45, 0, 5),
	"Observed/json-log/parallel":   beside(1.25, 1.45, 0, 5),
	"Observed/door/serial":         beside(1.05, 1.1, 5, 5),
	"Observed/door/parallel":       beside(1.05, 1.1, 5, 5),

	// Root's guard makes a writer and a request with a context of its own.
	"Root/serial":   beside(0, 1.8, 0, 7),
	"Root/parallel": beside(0, 1.75, 0, 7),

	"Echo/1KiB/serial":          beside(1.2, 1.4, 0, 7),
	"Echo/1KiB/parallel":        beside(1.5, 1.5, 0, 7),
	"Echo/64KiB/serial":         beside(1.5, 1.5, 0, 7),
	"Echo/64KiB/parallel":       beside(1.5, 1.5, 0, 7),
	"Echo/100000-keys/serial":   beside(1.5, 2.7, 0, 8),
	"Echo/100000-keys/parallel": beside(1.5, 2.4, 0, 8),
	"Echo/5-tags/serial":        beside(1.5, 1.5, 0, 7),
	"Echo/5-tags/parallel":      beside(1.5, 1.5, 0, 7),
	"Echo/vary/serial":          beside(1.5, 1.75, 0, 7),
	"Echo/vary/parallel":        beside(1.5, 1.75, 0, 7),

	"Answer/304":   beside(1, 1, 0, 3),
	"Answer/HEAD":  beside(1, 1, 0, 5),
	"Answer/range": beside(1, 1.35, 0, 8),

	"Miss":      append(beside(0, 11, 28, 35), figure{"more-ns", 3000, 0}),
	"FirstByte": {{"delay-ns", 100_000, 200_000}},
	"Pass/off":  append(beside(0, 1.2, 0, 11), figure{"more-ns", 200, 0}),
	"Pass/POST": append(beside(0, 1.25, 0, 10), figure{"more-ns", 200, 0}),

	"Far/redis":      beside(1.15, 1.15, 0, 12),
	"Far/postgresql": beside(1.15, 1.15, 0, 10),
	"Far/memcached":  beside(1.15, 1.15, 0, 10),
	"Far/http":       beside(1.15, 1.15, 0, 80),
	"Far/file":       beside(1.15, 1.5, 0, 10),

	"Near/redis":      beside(0, 1.5, 0, 0),
	"Near/postgresql": beside(0, 1.5, 0, 0),
	"Near/memcached":  beside(0, 1.5, 0, 0),
	"Near/http":       beside(0, 1.5, 0, 0),
	"Near/file":       beside(0, 1.5, 0, 0),

	// Of clients without credentials nobody knows that their page is private before one has it.
	"Crowd":                            {{"runs", 1, 1}, {"ratio", 1.2, 1.3}},
	"PrivateCrowd/with-cookies":        {{"ratio", 1.2, 1.2}},
	"PrivateCrowd/without-credentials": {{"ratio", 1.2, 2.3}},
	"Stream":                           {{"MiB-more", 32 + 64, 32 + 64}},
	"MemoryBound":                      {{"ratio", 1.05, 1.05}},
	"Page": {{"heap-bytes", 1500, 1500}, {"heap-objects", 4, 4.05},
		{"counted-ratio", 1.05, 1.05}},
	"Million/hit": {{"ratio", 1.5, 2.5}},
	"Million/gc":  {{"ratio", 1.3, 1.3}},
	"Crawler":     {{"points-fewer", 1, 2}},
}
