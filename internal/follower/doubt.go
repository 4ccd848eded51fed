package follower

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
)

// How the list of members is read while there is doubt: at once, and after pauses that grow.
const (
	firstLook = time.Millisecond
	longLook  = time.Second
	// a doubt that is over sooner is no news
	doubtIsNews = 200 * time.Millisecond
)

// doubts is what a follower does not trust that was out of touch and is back. Another process may
// have been cut off as well, have invalidated something, and not be back yet. So what was stored
// before the return is not used until all who were there have been heard: a member that has applied
// the barrier of the return has sent what it held before. When the leases of that time have ended,
// what is missing is past its time, and is not waited for.
type doubts struct {
	// the number of the barrier, or in a follower that may not append one the number that it would
	// have had: entries with smaller numbers are not used; 0: there is no doubt
	floor atomic.Uint64
	// the journal has begun anew beyond that: the barrier is not in it, and another one is due. Until
	// it is there nothing is used: floor is math.MaxUint64
	again atomic.Bool

	mu     sync.Mutex
	since  time.Duration // the return, since the start
	awaits map[string]sighting
	told   bool // the log has heard of it
}

// beganAnew notes that the journal has begun anew at number. Who has applied what comes after that
// may have been cut off since, as this follower was, and entries may be newer than a barrier that an
// earlier server has: so the doubt begins anew as well. It reports whether there is one.
func (d *doubts) beganAnew(number uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if floor := d.floor.Load(); floor == 0 || floor > number {
		return false
	}
	d.floor.Store(math.MaxUint64)
	d.again.Store(true)
	return true
}

// doubt begins a doubt, and reports whether the journal gave it the number that it needs.
func (f *Follower) doubt() bool {
	d := &f.doubts
	number, err := f.bar()
	if err != nil {
		if past := (*pastError)(nil); errors.As(err, &past) {
			f.past = max(f.past, past.known) // a watcher has it begin anew above that
		}
		f.fell(err)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since, d.told = f.now(), false
	if d.awaits == nil {
		d.awaits = make(map[string]sighting)
	}
	if list := f.roster.good.Load(); list != nil {
		for id, s := range list.others {
			d.awaits[id] = s
		}
	}
	d.again.Store(number <= f.recent.beginning()) // of an earlier server's, whose successor is known
	if d.again.Load() {
		d.floor.Store(math.MaxUint64)
		return false
	}
	d.floor.Store(number)
	select {
	case f.doubted <- struct{}{}:
	default:
	}
	return true
}

// bar returns the number of a new barrier.
func (f *Follower) bar() (number uint64, err error) {
	ctx, cancel := f.context()
	defer cancel()
	if !f.ReadOnly {
		return f.append(ctx, []store.Mark{{Kind: store.MarkBarrier}})
	}
	_, head, err := f.since(ctx, f.seen.Load())
	return head + 1, err
}

// settled ends the doubt if the list, or the time, says that it is over, and reports whether it is.
func (f *Follower) settled(list *reading, err error) bool {
	d := &f.doubts
	floor := d.floor.Load()
	now := f.now()
	d.mu.Lock()
	if err == nil {
		d.see(list, f.roster.missing(), floor, now, f.ReadOnly)
	}
	over := now-d.since >= store.LeaseTime || errors.Is(err, errors.ErrUnsupported)
	told := d.told
	heard := err == nil && len(d.awaits) == 0
	names := namesOf(d.awaits)
	if news := now-d.since >= doubtIsNews; !over && !heard && news && !told && err == nil {
		d.told = true
		f.Log.Warn("freshet: journal: in touch again; what was stored before is not used until "+
			"processes that may have invalidated something meanwhile have been heard",
			"awaits", names, "at most", store.LeaseTime)
	}
	d.mu.Unlock()
	switch {
	case d.again.Load() && !errors.Is(err, errors.ErrUnsupported): // enter has another barrier sent
		return false
	case over:
	case !heard, !f.askNow(): // what they have sent is to be known here first
		return false
	}
	lost := f.roster.missing() // now that the journal has said whether it began anew
	d.mu.Lock()
	defer d.mu.Unlock()
	if !over && len(lost) > 0 && d.await(lost, list.others) {
		return false
	}
	if !d.floor.CompareAndSwap(floor, 0) {
		return false // it began anew
	}
	d.again.Store(false)
	d.awaits = nil
	if told {
		f.Log.Info("freshet: journal: what was stored before the outage is used again",
			"past their time", names)
	}
	return true
}

// see notes who has been heard: who has applied the barrier, and who has left. Who is not on the
// list and whose lease may have ended has not. Where no barrier could be appended, who has applied
// everything before and has renewed since the return has been heard. Of those whom the journal has
// lost with its list nobody knows that they have left. mu is held.
func (d *doubts) see(
	list *reading, lost []sighting, floor uint64, now time.Duration, noBarrier bool,
) {
	listed := list.others
	d.await(lost, listed)
	for id, s := range listed {
		d.awaits[id] = s
	}
	for id, s := range d.awaits {
		_, there := listed[id]
		left := !there && now-s.renewed < leaseSafe && !slices.ContainsFunc(lost,
			func(l sighting) bool { return l.ID == id })
		heard := there && s.Applied >= floor
		if noBarrier {
			heard = there && s.Applied >= floor-1 && s.renewed > d.since
		}
		if left || heard {
			delete(d.awaits, id)
		}
	}
}

// await awaits those who were lost and are not listed again, and reports whether there are any. mu is
// held.
func (d *doubts) await(lost []sighting, listed map[string]sighting) (any bool) {
	for _, s := range lost {
		if _, there := listed[s.ID]; !there {
			d.awaits[s.ID], any = s, true
		}
	}
	return any
}

// awaited returns who has not been heard yet.
func (d *doubts) awaited(now time.Duration) (all []store.Member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.awaits {
		s.Age = max(now-s.stamp, 0)
		all = append(all, s.Member)
	}
	return all
}

// namesOf returns the names of members for the log, and of many the number of the others.
func namesOf(all map[string]sighting) string {
	names := make([]string, 0, len(all))
	for _, s := range all {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return strings.Join(someOf(names), ", ")
}
