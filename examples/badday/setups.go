package main

import (
	"time"

	"github.com/freshet-go/freshet"
)

// lifetime is how long a page is fresh.
const lifetime = time.Minute

// setUp is a policy, and what it has more than the one before.
type setUp struct {
	name   string
	policy freshet.Policy
}

// setUps are the policies under which the day is played: each has one field more than the one
// before, but for EagerRefresh, which takes the place of XFetch.
func setUps() (all []setUp) {
	p := freshet.Policy{
		TTL:          lifetime,
		StaleIfError: time.Hour,
		Timeout:      30 * time.Second,
	}
	add := func(name string) { all = append(all, setUp{name, p}) }
	add("TTL and StaleIfError alone")
	p.Jitter = 0.3
	add("+ Jitter: 0.3")
	p.XFetch = 1
	add("+ XFetch: 1")
	p.XFetch, p.EagerRefresh = 0, 0.8
	add("+ EagerRefresh: 0.8 (no XFetch)")
	p.SoftTimeout = 200 * time.Millisecond
	add("+ SoftTimeout: 200ms")
	p.MaxRuns = 4
	add("+ MaxRuns: 4")
	p.Throttle = 30 * time.Second
	add("+ Throttle: 30s")
	p.FailureTTL = 5 * time.Second
	add("+ FailureTTL: 5s")
	p.HardTimeout = 2 * time.Second
	add("+ HardTimeout: 2s")
	return all
}
