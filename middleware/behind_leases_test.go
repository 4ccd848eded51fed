package middleware_test

import (
	"sync"
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

// Those who wait for the run of another process share its response, and say so: nothing was stored
// when they came, so none of them is a hit.
func TestWhoWaitsBehindForAnotherProcessIsCollapsed(t *testing.T) {
	for _, p := range []policy.Policy{{TTL: time.Minute}, {TTL: time.Minute, HardTimeout: 4 * time.Second}} {
		for _, vary := range []string{"", "Accept-Encoding"} {
			t.Run(p.HardTimeout.String()+vary, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFleet(t, p, takes(time.Second, pageOf("page", "Vary", vary)))
					said := f.statuses(5, "/")
					want(t, "who had it made", said["Freshet; fwd=uri-miss; fwd-status=200; stored"], 1)
					want(t, "who shared it", said["Freshet; fwd=uri-miss; collapsed"], 14)
					want(t, "runs in all processes", f.runs.Load(), int64(1))
				})
			})
		}
	}
}

// statuses has n clients at each process ask at once, and counts what Cache-Status said.
func (f *fleet) statuses(n int, url string) map[string]int {
	var mu sync.Mutex
	said := map[string]int{}
	var all sync.WaitGroup
	for _, node := range f.nodes {
		for range n {
			all.Go(func() {
				r := get(node.h, url)
				mu.Lock()
				defer mu.Unlock()
				said[r.Header.Get("Cache-Status")]++
			})
		}
	}
	all.Wait()
	return said
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
