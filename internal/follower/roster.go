package follower

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
)

// roster is what the follower knows of the journal's list of members.
type roster struct {
	reading chan struct{}           // has something while the list is read
	latest  atomic.Pointer[reading] // nil: it never was
	good    atomic.Pointer[reading] // the latest without error

	mu     sync.Mutex
	seen   map[string]sighting // the others whose lease goes on, as far as is known, or who left
	ghosts map[string]sighting // who was on a list that the journal may have lost
	until  time.Duration       // when their leases have ended, since the start
}

// reading is what a call of Members returned.
type reading struct {
	began, ended time.Duration // since the start
	members      []store.Member
	others       map[string]sighting // whose lease has not ended
	err          error
}

func (r *reading) has(id string) bool {
	return slices.ContainsFunc(r.members, func(m store.Member) bool { return m.ID == id })
}

// sighting is what was last seen of a member. Times are since the start.
type sighting struct {
	store.Member
	seen  time.Duration // when it was on the list
	stamp time.Duration // when it renewed, by its Age, which may go by another clock
	// It has renewed since then, by the clock of this process: another one's may be wrong.
	renewed time.Duration
}

// sighted returns the sighting of a member of the list, after those before.
func (r *reading) sighted(m store.Member, before map[string]sighting) sighting {
	s := sighting{m, r.ended, r.ended - m.Age, r.began - store.LeaseTime}
	if last, known := before[m.ID]; known {
		s.renewed = last.renewed
		// an Age of 0 may be that of a clock that is ahead
		anew := m.Age > 0 && last.Age > 0 && r.began-m.Age > last.stamp+stampError
		if anew || m.Applied > last.Applied {
			s.renewed = last.seen
		}
	}
	return s
}

// stampError is by how much two stamps of the same renewal may differ.
const stampError = 500 * time.Millisecond

// list reads the list of members, or waits for a reading that began after the call. It waits for
// the journal for up to Timeout.
func (f *Follower) list(ctx context.Context) (*reading, error) {
	came := f.now()
	select {
	case f.roster.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-f.roster.reading }()
	if r := f.roster.latest.Load(); r != nil && r.began > came {
		return r, r.err
	}
	listed := f.joins() && !f.touch.hasLeft() && f.touch.holds(came)
	r := f.read()
	f.roster.latest.Store(r)
	if r.err != nil {
		return r, r.err
	}
	if listed && !r.has(f.id) {
		f.beginsAnew() // the server has lost the list
	}
	f.roster.note(r, f.id, f.begun.Load())
	f.roster.good.Store(r)
	var claimed uint64
	for _, m := range r.members {
		claimed = max(claimed, m.Applied)
	}
	f.claimed.Store(claimed)
	f.measure()
	return r, nil
}

// read reads the list for all callers that wait for it, also when one of them leaves.
func (f *Follower) read() (r *reading) {
	ctx, cancel := f.context()
	defer cancel()
	r = &reading{began: f.now()}
	defer func() { r.ended = f.now() }()
	defer caught(&r.err)
	all, err := f.membership.Members(ctx)
	// what others have written there is shown to people
	r.members = slices.DeleteFunc(all, func(m store.Member) bool { return m.Validate() != nil })
	r.err = err
	return r
}

// note notes who is on a list. It forgets the ghosts that are, and have applied what the journal began
// with at begun: a successor has a copy of an earlier server's list, on which they may be as they
// once were. It forgets all when their time is over.
func (r *roster) note(list *reading, own string, begun uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list.others = make(map[string]sighting, len(list.members))
	for _, m := range list.members {
		if m.ID != own && m.Age < store.LeaseTime {
			list.others[m.ID] = list.sighted(m, r.seen)
			if m.Applied >= begun {
				delete(r.ghosts, m.ID)
			}
		}
	}
	seen := maps.Clone(list.others)
	for id, s := range r.seen {
		if _, there := seen[id]; !there && list.ended-s.seen < store.LeaseTime {
			seen[id] = s // it left, or its lease has ended, or the list was lost
		}
	}
	r.seen = seen
	if list.began > r.until {
		r.ghosts = nil
	}
}

// beginsAnew notes that the journal's server may have lost its list: who was on it counts until it is seen
// again, or its lease has ended.
func (f *Follower) beginsAnew() {
	f.sawAnew()
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	f.roster.ghosts, f.roster.until = maps.Clone(f.roster.seen), f.now()+store.LeaseTime
}

// sawAnew notes that the journal has begun anew, or lost its list. To a process that has only just
// begun it says nothing: that may have been long ago.
func (f *Follower) sawAnew() {
	if f.seen.Load() > 0 {
		f.anew.Store(int64(max(f.now(), 1)))
	}
}

// unsettled returns for how long yet a process that nobody here has heard of may use what it knew
// from before the journal began anew: one that joined just then, and has not asked since. It is at
// most MaxLag, or the time of a lease.
func (f *Follower) unsettled() time.Duration {
	anew := time.Duration(f.anew.Load())
	if anew == 0 {
		return 0
	}
	return max(after(anew, min(f.MaxLag, store.LeaseTime))-f.now(), 0)
}

// missing returns what was last seen of members that the journal may have lost.
func (r *roster) missing() (all []sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.ghosts {
		all = append(all, g)
	}
	return all
}
