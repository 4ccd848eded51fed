package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

const (
	// bound is how long after an invalidation that a server took, another node of its may give an older
	// answer: it goes on for maxLag without the journal's word, and that was given a call before.
	bound = maxLag + 600*time.Millisecond
	// again is how long it takes a node that comes to a new server to append what that lacks.
	again = 2 * time.Second
)

// violations returns what must not happen and did.
func (s *story) violations() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for i, r := range s.reads {
		if r.version < 0 {
			say("%v: node %s: no page: %s", r.ended, r.node.name, r.how)
		}
		for _, w := range s.writes {
			if w.key != r.key || r.version >= w.version {
				continue
			}
			switch {
			case w.node == r.node && r.began > w.ended: // of one moment nobody knows which came first
				say("%v: node %s: version %d of %s, and it had invalidated it at %v: %s", r.began,
					r.node.name, r.version, r.key, w.ended, r.how)
			case w.client > 0 && w.client == r.client && r.began > w.ended:
				say("%v: node %s: version %d of %s, and client %d had written %d at %v: %s", r.began,
					r.node.name, r.version, r.key, r.client, w.version, w.ended, r.how)
			case r.healed && !s.isLost(&w):
				say("%v: node %s: version %d of %s after all was well; it was changed to %d at %v: %s",
					r.began, r.node.name, r.version, r.key, w.version, w.ended, r.how)
			case s.due(&w, &r):
				say("%v: node %s: version %d of %s; node %s invalidated it at %v, with the number %d: "+
					"%s", r.began, r.node.name, r.version, r.key, w.node.name, w.ended, w.number, r.how)
			}
		}
		for _, before := range s.reads[:i] {
			if before.node != r.node || before.key != r.key || before.ended > r.began ||
				before.version <= r.version {
				continue
			}
			if w := s.returned(&before, &r); w != nil {
				say("%v: node %s: version %d of %s (%s) after version %d at %v (%s), invalidated at %v",
					r.began, r.node.name, r.version, r.key, r.how, before.version, before.ended,
					before.how, w.ended)
			}
		}
	}
	return all
}

// due reports whether the node must know of a change when it answers a read: the bound is over since
// its server has the invalidation, and since the node has that server.
func (s *story) due(w *write, r *read) bool {
	server, arrived := r.node.link.at(s.start.Add(r.began))
	had, ok := s.had(w, server)
	return ok && r.began >= max(had, arrived.Sub(s.start))+bound
}

// had returns when a server had an invalidation that another node took back its answers for, or one
// that stands for it. It never had those that it did not take, but for what its successor has:
//
//   - what had reached the replica when it took over;
//   - what the old server took before the journal began anew, for which that beginning stands;
//   - what it took later, in a split, when the node that made it has come over.
func (s *story) had(w *write, server *server) (at time.Duration, ok bool) {
	switch {
	case w.number == 0:
		return 0, false
	case w.by == server:
		return w.ended, true
	case server != s.successor:
		return 0, false
	case w.number <= s.kept:
		return w.ended, true
	}
	if begun := server.begunAt; !begun.IsZero() && s.start.Add(w.taken).Before(begun) {
		return begun.Sub(s.start), true
	}
	came, ok := w.node.link.well(server, again)
	if !ok || !w.node.died.IsZero() && w.node.died.Sub(came) < again {
		return 0, false
	}
	return max(w.ended, came.Sub(s.start)+again), true
}

// isLost reports whether nobody can be sure to know of a change: the one who made it has ended, before
// it could tell the server that all have in the end.
func (s *story) isLost(w *write) bool {
	if w.lost || s.successor == nil || w.number == 0 || w.node.died.IsZero() {
		return w.lost
	}
	_, ok := s.had(w, s.successor)
	return !ok
}

// returned returns the change because of which time ran back on a node, or nil. While invalidations
// are on their way, a run that is not stored may give what is newer. So may the handlers' answers
// while a node is out of touch; after that, it waits for those who may have changed something, for as
// long as they may come back.
func (s *story) returned(before, r *read) *write {
	for _, w := range s.writes {
		if w.key != r.key || w.version <= r.version || w.version > before.version || s.isLost(&w) ||
			r.began < w.ended+bound {
			continue
		}
		// Nor does it hold of a page that a node which was not out of touch makes of an older part.
		outage := r.key != composed && strings.Contains(before.how, "journal-lost") &&
			before.began >= w.ended && s.wasInTouch(before)
		if s.due(&w, r) || outage && r.began < s.leased(&w) {
			return &w
		}
	}
	return nil
}

// leased returns how long the others count in the node that made a change: those who have a new server
// know of no lease that began later.
func (s *story) leased(w *write) time.Duration {
	if s.successor == nil {
		return w.leased
	}
	return min(w.leased, s.promoted+store.LeaseTime-2*maxLag)
}

// wasInTouch reports whether the node had used the store before a read: one that begins knows of no
// outage.
func (s *story) wasInTouch(before *read) bool {
	return slices.ContainsFunc(s.reads, func(r read) bool {
		return r.node == before.node && r.ended < before.began && strings.HasPrefix(r.how, "hit")
	})
}
