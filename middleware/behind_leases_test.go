package middleware_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A run behind its clients is for all processes, as one of a client's is: the handler runs once, in
// one of them, and its lease is the run's, whatever has become of those who began it.
func TestARunBehindIsForAllProcesses(t *testing.T) {
	for _, s := range []struct {
		name  string
		p     policy.Policy
		takes time.Duration
		now   string // what clients get at first
	}{
		{"in time", policy.Policy{HardTimeout: 4 * time.Second}, 2 * time.Second, "page"},
		{"too late", policy.Policy{HardTimeout: time.Second}, 2 * time.Second, overdue},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, s.p, takes(s.takes, pageOf("page", "Cache-Control", "max-age=600")))
				bodies, last := f.ask(20, "/")
				want(t, "clients who got "+s.now, bodies[s.now], 60)
				if most := s.p.HardTimeout; last > most {
					t.Errorf("the last waited %v, want %v at most", last, most)
				}
				time.Sleep(5 * time.Second)
				for _, n := range f.nodes {
					r := get(n.h, "/")
					want(t, "later", body(r), "page")
					status(t, r, "hit")
				}
				want(t, "runs in all processes", f.runs.Load(), int64(1))
			})
		})
	}
}

const overdue = `{"code":504,"errno":201,"error":"Gateway Timeout","message":"The response took too long to ` +
	`make, please retry later."}`

// The same where something stale is stored, which nobody waits longer than SoftTimeout beside.
func TestARunBehindWhatIsStaleIsForAllProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.Policy{SoftTimeout: time.Second}
		f := newFleet(t, p, takes(2*time.Second, pageOf("page", "Cache-Control", forErrors)))
		get(f.nodes[0].h, "/")
		time.Sleep(70 * time.Second)
		before := f.runs.Load()
		_, last := f.ask(20, "/")
		want(t, "the last waited", last, time.Second)
		time.Sleep(5 * time.Second)
		for _, n := range f.nodes {
			status(t, get(n.h, "/"), "hit; ttl=")
		}
		want(t, "runs in all processes", f.runs.Load()-before, int64(1))
	})
}
