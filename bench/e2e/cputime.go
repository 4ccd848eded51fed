package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: Linux shows programs 100 ticks a second on all that
// Go runs on.
const tick = 10 * time.Millisecond

// stat is what of a line of /proc/PID/stat is needed here.
type stat struct {
	pid, parent int
	ticks       int64 // of user and system time, its own and that of children that have ended
}

// parseStat reads a line of /proc/PID/stat. The program's name in it, in parentheses, may have
// spaces and parentheses of its own.
func parseStat(line string) (stat, error) {
	open, close := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || close < open {
		return stat{}, fmt.Errorf("no program's name in parentheses in %q", line)
	}
	after := strings.Fields(line[close+1:]) // from the third field of proc(5) on
	if len(after) < 15 {
		return stat{}, fmt.Errorf("only %d fields after the program's name in %q", len(after), line)
	}
	var s stat
	var err error
	if s.pid, err = strconv.Atoi(strings.TrimSpace(line[:open])); err != nil {
		return stat{}, err
	}
	if s.parent, err = strconv.Atoi(after[1]); err != nil {
		return stat{}, err
	}
	for _, value := range after[11:15] { // utime, stime, cutime, cstime: fields 14 to 17
		ticks, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return stat{}, err
		}
		s.ticks += ticks
	}
	return s, nil
}

// treeTicks adds up a process and all that descend from it. A child that ends moves its time to its
// parent, so the sum never falls.
func treeTicks(stats []stat, root int) int64 {
	sum := int64(0)
	for _, s := range stats {
		switch {
		case s.pid == root:
			sum += s.ticks
		case s.parent == root:
			sum += treeTicks(stats, s.pid)
		}
	}
	return sum
}

// cpuTime is the user and system time that a process and its children have taken so far.
func cpuTime(pid int) (time.Duration, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var stats []stat
	found := false
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		s, err := parseStat(string(line))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		found = found || s.pid == pid
		stats = append(stats, s)
	}
	if !found {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return time.Duration(treeTicks(stats, pid)) * tick, nil
}
