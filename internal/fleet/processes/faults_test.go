package processes

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/fleet/history"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

func soak() bool { return os.Getenv("FRESHET_TEST_SOAK") != "" }

// linger is how long clients go on when all agree.
func linger() time.Duration {
	if soak() {
		return 2 * time.Second
	}
	return 50 * time.Millisecond
}

// fault is what fails. When run returns, all is well again.
type fault struct {
	story string
	run   func(f *fleet)
}

var faults = []fault{
	{"nothing", func(f *fleet) { f.changes(20, f.processes...) }},

	// before any process is killed: who waits for a receipt waits for the leases of those
	{"stopped for a moment", func(f *fleet) {
		p, others := f.one()
		p.app.Pause()
		f.changes(5, others...)
		_, wait := f.purge(others[0], pages[0], "url")
		waited := make(chan error, 1)
		go func() { waited <- wait() }()
		select {
		case err := <-waited:
			f.t.Errorf("a receipt's wait ended, with %v, and process %d is stopped", err, p.slot)
			waited <- err
		case <-time.After(f.moment(400)):
		}
		p.app.Resume()
		if err := <-waited; err != nil {
			f.t.Error(err)
		}
	}},

	{"stopped for longer than it is trusted", func(f *fleet) {
		p, others := f.one()
		stopped := f.now()
		p.app.Pause()
		if !soak() || f.dice.IntN(2) > 0 { // nor does anything wait for it
			p.proxy.Swallow()
		}
		f.changes(5, others...)
		w, wait := f.purge(others[0], pages[0], "tag")
		if soak() && f.dice.IntN(4) == 0 { // for longer than its lease: then nobody waits for it
			if err := wait(); err != nil {
				f.t.Error(err)
			}
			if took := f.now() - stopped; took < store.LeaseTime-10*time.Second {
				f.t.Errorf("a receipt's wait ended when process %d was stopped for %v", p.slot, took)
			}
		}
		f.until(w.Ended + f.maxLag)
		var work sync.WaitGroup
		for i := range 12 { // in the first moment, before it has heard anything
			work.Go(func() { f.get(p, pages[i%len(pages)], i%len(f.clients)) })
		}
		time.Sleep(20 * time.Millisecond)
		p.app.Resume()
		work.Wait()
		f.finds(p)
	}},

	// as when a machine sleeps that has all of them
	{"all are stopped, and the server", func(f *fleet) {
		f.changes(3, f.processes...)
		f.server.Pause()
		for _, p := range f.processes {
			p.app.Pause()
		}
		time.Sleep(f.maxLag + f.moment(1000))
		server := f.dice.IntN(len(f.processes)) // wakes between two of them
		for i, at := range f.dice.Perm(len(f.processes)) {
			if i == server {
				f.server.Resume()
			}
			f.processes[at].app.Resume()
		}
		f.changes(3, f.processes...)
	}},

	{"killed right after its acknowledgement", func(f *fleet) {
		p, _ := f.one()
		f.change(p, pages[0], 1)
		p.kill()
		time.Sleep(f.moment(300))
		f.restart(p)
		p, _ = f.one()
		f.purged(p, pages[1], waysToPurge[f.dice.IntN(len(waysToPurge))])
		p.kill()
		f.restart(p)
	}},

	{"killed in the middle of many", func(f *fleet) {
		p, _ := f.one()
		var work sync.WaitGroup
		var made atomic.Int64
		enough := int64(10 + f.dice.IntN(30))
		many, ended := make(chan struct{}), make(chan struct{})
		for i := range 8 {
			work.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-ended:
						return
					default:
					}
					f.change(p, pages[(i+n)%len(pages)], i%len(f.clients))
					if made.Add(1) == enough {
						close(many)
					}
				}
			})
		}
		<-many
		p.kill()
		close(ended)
		work.Wait() // who got no answer has asked another
		f.restart(p)
	}},

	{"killed before it could send", func(f *fleet) {
		p, others := f.one()
		f.loses((*testserver.FaultProxy).Refuse, p)
		f.unsent(f.purged(p, pages[0], "url"))
		f.changes(3, others...)
		p.kill()
		f.finds(p)
		f.restart(p) // with its spool
	}},

	{"connections cut in the middle of replies", func(f *fleet) {
		for range 8 {
			for _, p := range f.processes {
				p.proxy.CutAfter(f.dice.IntN(300))
			}
			f.changes(2, f.processes...)
			time.Sleep(f.moment(30))
			f.finds(f.processes...)
			f.changes(1, f.processes...)
		}
	}},

	{"one is cut off", func(f *fleet) { f.oneLoses((*testserver.FaultProxy).Refuse) }},
	{"all are cut off", func(f *fleet) { f.allLose((*testserver.FaultProxy).Refuse) }},
	{"the packets of one are lost", func(f *fleet) { f.oneLoses((*testserver.FaultProxy).Swallow) }},
	{"all packets are lost", func(f *fleet) { f.allLose((*testserver.FaultProxy).Swallow) }},
	{"the answers to all are lost", func(f *fleet) { f.allLose((*testserver.FaultProxy).Hang) }},

	{"the server forgets", func(f *fleet) {
		for _, l := range f.kind.losses {
			f.changes(3, f.processes...)
			l.forget(f.t, f.server)
			f.changes(2, f.processes...)
			time.Sleep(f.moment(50))
		}
	}},

	{"a server takes over that lacks the last changes", func(f *fleet) {
		second, detach, promote := f.kind.follower(f.story, f.server)
		f.changes(3, f.processes...)
		detach()
		f.changes(5, f.processes...)
		f.server.Kill()
		promote()
		f.move(second, f.processes...)
	}},

	{"a server takes over, and one process stays with the old one", func(f *fleet) {
		first := f.server
		second, detach, promote := f.kind.follower(f.story, first)
		p, others := f.one()
		f.changes(3, f.processes...)
		detach()
		f.changes(3, f.processes...)
		promote()
		f.move(second, others...)
		// each server takes changes of which the other does not know
		apart := f.changes(3, others...)
		if f.dice.IntN(2) > 0 {
			apart = append(apart, f.changes(3, p)...)
		}
		f.forgotten(append(apart, f.purged(p, pages[0], "url")))
		f.move(second, p) // at once: it may not have heard of its own mark
		first.Kill()
	}},
}

// moment returns some milliseconds, up to a number, or half of it in the short version.
func (f *fleet) moment(most int) time.Duration {
	if !soak() {
		most /= 2
	}
	return time.Duration(f.dice.IntN(most)) * time.Millisecond
}

// until waits for a time of the history.
func (f *fleet) until(at time.Duration) { time.Sleep(at - f.now() + time.Millisecond) }

// unsent fails if the journal took a change of a process that cannot reach it.
func (f *fleet) unsent(w *history.Write) *history.Write {
	if w.Acknowledged {
		f.t.Errorf("node %s has lost the server, and its journal has taken %+v", w.Node, w)
	}
	return w
}

// oneLoses has one process lose its server in some way, for longer than it is trusted or not.
func (f *fleet) oneLoses(way func(*testserver.FaultProxy)) {
	p, others := f.one()
	f.loses(way, p)
	f.unsent(f.purged(p, pages[0], "url"))
	f.change(p, pages[1], 1)
	f.changes(6, others...)
	time.Sleep(f.moment(2000))
	f.changes(2, f.processes...)
	f.finds(p)
}

// allLose has all processes lose their server in some way, until none is trusted, and find it again
// one after the other. The one that has changed something meanwhile may be the last.
func (f *fleet) allLose(way func(*testserver.FaultProxy)) {
	f.loses(way, f.processes...)
	over := f.now() + f.maxLag
	p, others := f.one()
	f.gone(f.unsent(f.purged(p, pages[0], "tag")), over)
	f.gone(f.change(p, pages[1], 1), over)
	f.gone(f.change(others[0], pages[2], 2), over)
	f.until(over)
	for _, i := range f.dice.Perm(len(f.processes)) {
		f.finds(f.processes[i])
		time.Sleep(f.moment(300))
	}
}

// move has processes find another server in the place of theirs.
func (f *fleet) move(to *testserver.Server, ps ...*process) {
	for _, p := range ps {
		p.proxy.To(to.Addr)
		time.Sleep(f.moment(50))
	}
	f.server = to
}

// forgotten notes changes that a server may have forgotten that has taken over.
func (f *fleet) forgotten(all []*history.Write) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range all {
		w.Forgotten = true
	}
}

// TestFaults has five processes go through all faults, one after the other, while clients read. Under
// FRESHET_TEST_SOAK it does so as often as FRESHET_ROUNDS says, once by default, in an order by
// chance.
func TestFaults(t *testing.T) {
	first, rounds := 1, 1
	if soak() {
		first, rounds = number(t, "FRESHET_SEED", 1+rand.IntN(1e9)), number(t, "FRESHET_ROUNDS", 1)
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for seed := first; seed < first+rounds && !t.Failed(); seed++ {
				t.Run(fmt.Sprintf("FRESHET_SEED=%d", seed), func(t *testing.T) {
					newFleet(t, k, uint64(seed)).goThrough(faults)
				})
			}
		})
	}
}

func number(t *testing.T, variable string, otherwise int) int {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a number from 1", variable, text)
	}
	return n
}

// goThrough ends with the first fault that shows something wrong: those after it would, too.
func (f *fleet) goThrough(all []fault) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	if soak() {
		f.dice.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	for _, i := range order {
		if !f.story.Run(all[i].story, func(t *testing.T) { f.play(t, all[i]) }) {
			return
		}
	}
}

// play has a fault happen while clients get pages, waits until all agree, and judges.
func (f *fleet) play(t *testing.T, what fault) {
	f.t = t
	end := f.traffic()
	var agreed time.Duration
	defer func() {
		end()
		h := f.judge()
		hits := 0
		for _, r := range h.Reads {
			if strings.HasPrefix(r.How, "hit") {
				hits++
			}
		}
		t.Logf("all agreed %v after all was well; the oldest answer was out of date for %v; %d reads, "+
			"%d hits", agreed.Round(time.Millisecond), h.Lag().Round(time.Millisecond), len(h.Reads), hits)
	}()
	what.run(f)
	agreed = f.agree()
}
