package main

import (
	"fmt"
	"strings"
)

// meaning says in sentences what the numbers say.
func (r *results) meaning() []string {
	var says []string
	add := func(format string, args ...any) { says = append(says, fmt.Sprintf(format, args...)) }
	bare, hasBare := r.find(bareName)
	freshet, hasFreshet := r.find(freshetName)

	if hasBare && hasFreshet && freshet.Summary.Compared > 0 {
		f := freshet.Summary
		add("**A hit in memory costs %.2f times what the bare handler costs**: %s µs of CPU "+
			"time, and %s. The bare handler has the page at hand and does nothing but write it, "+
			"so the difference is what the cache takes: reading the request, finding the page, "+
			"judging whether it may be used, and saying so.",
			f.CPURatio.Median, oneDecimal(f.CPUMicros.Median),
			oneDecimal(bare.Summary.CPUMicros.Median))
		add("So one core serves %s requests a second through Freshet and %s without it.",
			thousands(f.PerSecond.Median), thousands(bare.Summary.PerSecond.Median))
		if more := f.CPUMicros.Median - bare.Summary.CPUMicros.Median; more > 0 {
			add("The cache saves CPU time wherever making the page takes a handler more than %s "+
				"µs of it.", oneDecimal(more))
		}
	}
	if front, ok := r.find(frontName); ok && front.Summary.Compared > 0 {
		says = append(says, fmt.Sprintf("**Answered in front of net/http, a hit costs %.2f times what the bare handler "+
			"costs**%s: net/http's parsing, header map and goroutines are most of what the bare handler takes.",
			front.Summary.CPURatio.Median, r.besideProxies()))
	}
	if others := r.besideFreshet(); hasFreshet && len(others) > 0 {
		add("Beside Freshet in memory, a response takes this much CPU time: %s. nginx and "+
			"Varnish are servers in C, and gofiber is a server that replaces net/http; Freshet "+
			"is a part of a Go app and pays for net/http, as the bare handler does.",
			strings.Join(others, ", "))
	}
	for _, e := range r.Contestants {
		if behind := e.Summary.BehindMicros.Median; e.Summary.Turns > 0 && behind >= 0.05 {
			add("%s: Redis takes %s µs of CPU time a request besides, on the other core, where "+
				"it competes with wrk.", e.Label, oneDecimal(behind))
		}
	}
	if idle := r.idle(); len(idle) > 0 {
		add("Not kept busy: %s. There wrk, Redis on wrk's core or something else on this machine "+
			"was the limit: the server could answer more requests a second than shown, and the "+
			"CPU time per request is the number to read.", strings.Join(idle, ", "))
	}
	if r.Machine.busy() {
		add("**The machine was busy with something else**: its load average was %s before the "+
			"first round. Measure again when it is quiet.", r.Machine.Load)
	}
	add("Latency is that of a server with all the load it can take: most of it is waiting for "+
		"the %d clients' other requests. It tells contestants apart; a site that is not "+
		"overloaded answers sooner.", r.Settings.Connections)
	add("CPU time comes in steps of 10 ms, which is %.1f %% of a turn of %v. Differences below "+
		"the spread in parentheses say nothing.", 1/r.Settings.Time.Seconds(), r.Settings.Time)
	return says
}

// besideProxies says what the proxies take beside the bare handler.
func (r *results) besideProxies() string {
	var says []string
	for _, name := range []string{proxyName, "nginx"} {
		if e, ok := r.find(name); ok && e.Summary.Compared > 0 {
			says = append(says, fmt.Sprintf("%s takes %.2f times", e.Label, e.Summary.CPURatio.Median))
		}
	}
	if len(says) == 0 {
		return ""
	}
	return ", where " + strings.Join(says, " and ")
}

// besideFreshet is the CPU time of each other cache by that of Freshet in memory.
func (r *results) besideFreshet() []string {
	freshet, _ := r.find(freshetName)
	var says []string
	for _, e := range r.Contestants {
		if e.Kind == other && e.Summary.Turns > 0 && freshet.Summary.CPUMicros.Median > 0 {
			says = append(says, fmt.Sprintf("%s %.2f times", e.Label,
				e.Summary.CPUMicros.Median/freshet.Summary.CPUMicros.Median))
		}
	}
	return says
}

// full is how busy a core is, of its time, that has no time to spare.
const full = 0.95

// idle are the contestants whose core had time to spare.
func (r *results) idle() []string {
	var says []string
	for _, e := range r.Contestants {
		if e.Summary.Turns > 0 && e.Summary.Busy.Median < full {
			says = append(says, fmt.Sprintf("%s (%.0f %% of its core)", e.Label,
				100*e.Summary.Busy.Median))
		}
	}
	return says
}
