package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// cores are where things run: the contestants on one, wrk and what they need behind them on
// another.
type cores struct {
	server, load int // negative: anywhere
	siblings     bool
}

func (c cores) String() string {
	switch {
	case c.server < 0:
		return "There is only one core: nothing is pinned, and wrk takes its share of what the " +
			"servers need."
	case c.siblings:
		return fmt.Sprintf("Servers on CPU %d; wrk, Redis and origins on CPU %d, which is the "+
			"same core's other thread: they slow each other.", c.server, c.load)
	default:
		return fmt.Sprintf("Servers on CPU %d; wrk, Redis and origins on CPU %d.", c.server, c.load)
	}
}

// cpu is one that we may use.
type cpu struct {
	number   int
	siblings []int // the CPUs of its core, with itself
}

// chooseCores takes the last CPU for the servers, since interrupts favour the first, and the last
// one of another core for the load.
func chooseCores(cpus []cpu) cores {
	if len(cpus) < 2 {
		return cores{server: -1, load: -1}
	}
	last, rest := cpus[len(cpus)-1], cpus[:len(cpus)-1]
	for _, c := range slices.Backward(rest) {
		if !slices.Contains(last.siblings, c.number) {
			return cores{server: last.number, load: c.number}
		}
	}
	return cores{server: last.number, load: rest[len(rest)-1].number, siblings: true}
}

// readCPUs returns the CPUs that this process may use.
func readCPUs() []cpu {
	status, _ := os.ReadFile("/proc/self/status")
	var cpus []cpu
	for _, n := range cpuList(field(string(status), "Cpus_allowed_list")) {
		siblings, _ := os.ReadFile(fmt.Sprintf(
			"/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", n))
		cpus = append(cpus, cpu{n, cpuList(string(siblings))})
	}
	return cpus
}

// cpuList reads a list as the kernel writes it: 0-2,5.
func cpuList(s string) []int {
	var list []int
	for part := range strings.SplitSeq(strings.TrimSpace(s), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			continue
		}
		for n := from; n <= to; n++ {
			list = append(list, n)
		}
	}
	return list
}

// field is the value of the first line "name: value" or "name : value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
