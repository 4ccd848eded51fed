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
	err          error
}

// sighting is what was last seen of a member.
type sighting struct {
	store.Member
	renewed time.Duration // when it renewed, since the start
}

// sightings returns what the list says of the others whose lease has not ended.
func (r *reading) sightings(own string) map[string]sighting {
	all := make(map[string]sighting, len(r.members))
	for _, m := range r.members {
		if m.ID != own && m.Age < store.LeaseTime {
			all[m.ID] = sighting{m, r.ended - m.Age}
		}
	}
	return all
}

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
	r := f.read()
	f.roster.latest.Store(r)
	if r.err != nil {
		return r, r.err
	}
	f.roster.good.Store(r)
	f.roster.note(r, f.id)
	var claimed uint64
	for _, m := range r.members {
		claimed = max(claimed, m.Applied)
	}
	f.claimed.Store(claimed)
	f.measure()
	return r, nil
}

// read reads the list for all who wait for it, whoever of them leaves.
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

// note notes who is on a list, and forgets the ghosts that are, and all when their time is over.
func (r *roster) note(list *reading, own string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = make(map[string]sighting)
	}
	for id, s := range list.sightings(own) {
		r.seen[id] = s
		delete(r.ghosts, id)
	}
	for id, s := range r.seen {
		if list.ended-s.renewed >= store.LeaseTime {
			delete(r.seen, id)
		}
	}
	if list.began > r.until {
		r.ghosts = nil
	}
}

// beginsAnew notes that the journal may have lost its list: who was on it counts until it is seen
// again, or its lease has ended.
func (f *Follower) beginsAnew() {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	f.roster.ghosts, f.roster.until = maps.Clone(f.roster.seen), f.now()+store.LeaseTime
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
