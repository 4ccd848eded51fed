package follower

import (
	"cmp"
	"slices"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Status is what a Follower knows of its journal at one moment.
type Status struct {
	Shared  bool   // other processes append to the journal
	InTouch bool   // it has answered within MaxLag
	Number  uint64 // the newest number that is known
	// since the journal answered; 0 without one; negative: it has never answered
	Lag    time.Duration
	MaxLag time.Duration // the Lag beyond which it is out of touch; 0 without a shared journal
	Unsent int           // marks that it has not taken yet

	Applied uint64 // up to which number all of its marks have been applied
	// how many numbers that are known to be given out have not been applied, and for how long
	Behind    uint64
	BehindFor time.Duration

	// as the list was last read: who follows the journal, those that were heard longest ago first
	Members []store.Member
	// after an outage: entries with smaller numbers are not used until those in Awaits were heard
	Floor  uint64
	Awaits []store.Member
}

// Status returns what is known of the journal at that time.
func (f *Follower) Status(at time.Time) Status {
	s := Status{Shared: f.Shared(), InTouch: f.InTouch(at), Number: f.Head(),
		Unsent: f.unsent.len()}
	if s.Shared {
		s.MaxLag = f.MaxLag
	}
	now := f.time.at(at)
	switch heard := time.Duration(f.touch.heard.Load()); {
	case !s.Shared:
		s.Applied = s.Number
		return s
	case heard == 0:
		s.Lag = -1
	default:
		s.Lag = max(now-heard, 0)
	}
	s.Applied = f.seen.Load()
	if since := f.touch.lateness(); since > 0 {
		s.Behind, s.BehindFor = f.known()-min(s.Applied, f.known()), max(now-since, 0)
	}
	s.Members = f.members(now)
	if s.Floor = f.doubts.floor.Load(); s.Floor > 0 {
		s.Awaits = byAge(f.doubts.awaited(now))
	}
	return s
}

// maxShown is how many members a Status has.
const maxShown = 100

// members returns who was on the list when it was last read.
func (f *Follower) members(now time.Duration) (all []store.Member) {
	list := f.roster.good.Load()
	if list == nil {
		return nil
	}
	for _, m := range list.members {
		m.Age = max(m.Age+now-list.ended, 0)
		all = append(all, m)
	}
	return byAge(all)
}

// byAge returns the members that were heard longest ago, those first.
func byAge(all []store.Member) []store.Member {
	sortByAge(all)
	return all[:min(len(all), maxShown)]
}

func sortByAge(all []store.Member) {
	slices.SortFunc(all, func(a, b store.Member) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(a.Name, b.Name))
	})
}

// len returns how many marks there are.
func (u *unsent) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.marks)
}
