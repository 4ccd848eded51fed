package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// load is what wrk says of one run.
type load struct {
	requests  int64
	took      time.Duration
	perSecond float64
	p50, p99  time.Duration
	errors    int64 // of sockets: connect, read, write, timeout
	non2xx    int64
}

var (
	wrkRequests  = regexp.MustCompile(`(?m)^\s*(\d+) requests in ([0-9.]+\w+),`)
	wrkPerSecond = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)`)
	wrkQuantile  = regexp.MustCompile(`(?m)^\s*(50|99)(?:\.0+)?%\s+([0-9.]+\w+)\s*$`)
	wrkErrors    = regexp.MustCompile(
		`(?m)^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkNon2xx = regexp.MustCompile(`(?m)^\s*Non-2xx or 3xx responses: (\d+)`)
)

// parseWrk reads what wrk --latency prints.
func parseWrk(output string) (l load, err error) {
	wrong := func(what string) (load, error) {
		return load{}, fmt.Errorf("wrk did not say %s; it said:\n%s", what,
			strings.TrimSpace(output))
	}
	m := wrkRequests.FindStringSubmatch(output)
	if m == nil {
		return wrong("how many requests it made")
	}
	if l.requests, err = strconv.ParseInt(m[1], 10, 64); err != nil {
		return load{}, err
	}
	if l.took, err = wrkTime(m[2]); err != nil {
		return load{}, err
	}
	if m = wrkPerSecond.FindStringSubmatch(output); m == nil {
		return wrong("how many requests it made a second")
	}
	if l.perSecond, err = strconv.ParseFloat(m[1], 64); err != nil {
		return load{}, err
	}
	quantiles := map[string]*time.Duration{"50": &l.p50, "99": &l.p99}
	for _, m := range wrkQuantile.FindAllStringSubmatch(output, -1) {
		if to := quantiles[m[1]]; to != nil {
			if *to, err = wrkTime(m[2]); err != nil {
				return load{}, err
			}
			delete(quantiles, m[1])
		}
	}
	if len(quantiles) > 0 {
		return wrong("how long its requests took")
	}
	if m = wrkErrors.FindStringSubmatch(output); m != nil {
		for _, count := range m[1:] {
			n, _ := strconv.ParseInt(count, 10, 64)
			l.errors += n
		}
	}
	if m = wrkNon2xx.FindStringSubmatch(output); m != nil {
		l.non2xx, _ = strconv.ParseInt(m[1], 10, 64)
	}
	return l, nil
}

// wrkTime reads a time as wrk writes it: 250.00us, 1.30ms, 2.00s, 1.50m or 0.50h, which Go reads as
// well.
func wrkTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("wrk's time %q: want a number and us, ms, s, m or h", s)
	}
	return d, nil
}
