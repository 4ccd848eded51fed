package seat

import (
	"cmp"
	"slices"
	"time"
)

// Head is a journal's number as it was read.
type Head struct {
	Number     uint64
	Generation uint32
}

// Answer is what a server says when it is asked for its copy.
type Answer struct {
	Server string
	Copy   Seat // zero: it has none
	// Foreign says that something else is in the place of the copy, such as one of a later version.
	// It stays.
	Foreign bool
	Head    *Head  // of the journal that was asked for; nil: the server does not have it
	Floor   uint64 // a number that the next seat must be above
	Err     error  // why there is no answer; nil: there is
	Silent  bool   // ... because nothing came from the server
	Item    any    // what Put replaces
}

// view is what the servers have answered so far when they were asked together.
type view struct {
	servers int
	began   time.Time
	answers []Answer
}

// Majority returns how many of n servers are more than half of them.
func Majority(n int) int { return n/2 + 1 }

func (v *view) whole() bool { return len(v.answers) == v.servers }

// heard returns how many have answered.
func (v *view) heard() (n int) {
	for _, a := range v.answers {
		if a.Err == nil {
			n++
		}
	}
	return n
}

// strange returns how many have something else in the place of the copy.
func (v *view) strange() (n int) {
	for _, a := range v.answers {
		if a.Err == nil && a.Foreign {
			n++
		}
	}
	return n
}

// latest returns the latest seat that a copy names, and how many name it.
func (v *view) latest() (s Seat, copies int) {
	for _, a := range v.answers {
		switch {
		case a.Err != nil || a.Copy == Seat{}:
		case a.Copy == s:
			copies++
		case a.Copy.later(s):
			s, copies = a.Copy, 1
		}
	}
	return s, copies
}

// agreed returns the seat that more than half of all servers name, if none names a later one.
func (v *view) agreed() (Seat, bool) {
	s, copies := v.latest()
	return s, copies >= Majority(v.servers)
}

// of returns the answer of a server.
func (v *view) of(server string) (Answer, bool) {
	for _, a := range v.answers {
		if a.Server == server {
			return a, true
		}
	}
	return Answer{}, false
}

// state is what a view says of the seat that a process believes in.
type state int

const (
	few      state = iota // fewer than a majority answer
	newer                 // a later seat is agreed on
	here                  // that seat is agreed on, and its journal is there
	lost                  // it is agreed on, and its server has no journal
	silent                // it is agreed on, and nothing comes from its server
	refused               // it is agreed on, and its server answers with an error
	split                 // a majority answers, and no seat is agreed on
	empty                 // a majority answers, and there is no copy
	foreign               // something else is in the place of too many copies
	restless              // the journal has moved again and again, while a call followed it
)

func (s state) String() string {
	return [...]string{
		"too few of the journal's servers answer", "the journal has moved", "well",
		"the journal's server has lost it", "the journal's server does not answer",
		"the journal's server refuses", "the servers do not agree where the journal is",
		"no server says where the journal is",
		"another program has written where the servers say where the journal is, or a later version " +
			"of Freshet: then update this program",
		"the journal moves from server to server",
	}[s]
}

// judge returns what the view says to a process that believes in a seat, and the latest seat that a
// copy names.
func (v *view) judge(believed Seat) (state, Seat) {
	if v.heard() < Majority(v.servers) {
		return few, Seat{}
	}
	if v.strange() > v.servers-Majority(v.servers) {
		return foreign, Seat{}
	}
	s, ok := v.agreed()
	switch {
	case s == Seat{}:
		return empty, s
	case !ok || believed.later(s): // no process goes back
		return split, s
	case s != believed:
		return newer, s
	}
	a, known := v.of(s.Server)
	switch {
	case !known || a.Silent:
		return silent, s
	case a.Err != nil:
		return refused, s
	case a.Head == nil:
		return lost, s
	}
	return here, s
}

// settled reports whether the answers so far say all that there is to know.
func (v *view) settled(believed Seat) bool {
	if v.whole() {
		return true
	}
	s, ok := v.agreed()
	if !ok || believed.later(s) {
		return false
	}
	_, heard := v.of(s.Server)
	return heard || s != believed
}

// patience is how long a state must last before the journal moves, and whether it ever does.
func (v *view) patience(s state) (time.Duration, bool) {
	all := v.heard() == v.servers
	switch s {
	case lost:
		return 0, true
	case empty:
		if all {
			return 0, true
		}
		return long, true
	case split:
		if all { // somebody may be about to make them agree
			return short, true
		}
		return long, true
	case silent:
		return long, true
	}
	return 0, false
}

const (
	short = 300 * time.Millisecond
	long  = time.Second
)

// next returns the seats that may be proposed at now, in the order in which to try them: on the
// servers that have answered, by rendezvous of server and number. Their number is above all that is
// known.
func (v *view) next(now time.Time, known, random uint64) (all []Seat) {
	greatest := known
	for _, a := range v.answers {
		greatest = max(greatest, a.Copy.Number, a.Floor)
	}
	number := after(now, greatest, random)
	if number > MaxNumber {
		return nil
	}
	for _, a := range v.answers {
		if a.Err == nil {
			all = append(all, Seat{number, a.Server})
		}
	}
	slices.SortFunc(all, func(a, b Seat) int { return cmp.Compare(score(b), score(a)) })
	return all
}

// score is FNV-1a of a seat's server, mixed with its number as SplitMix64 does.
func score(s Seat) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s.Server) {
		h = (h ^ uint64(s.Server[i])) * 1099511628211
	}
	h ^= s.Number * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// inOrder returns the answers in the order of their servers' names, in which every process writes
// copies: of several that propose at once, one is first at the first server, and the others leave.
func (v *view) inOrder() []Answer {
	return slices.SortedFunc(slices.Values(v.answers), func(a, b Answer) int {
		return cmp.Compare(a.Server, b.Server)
	})
}
