package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// bound is how long after an invalidation that the journal took, another node may give an older
// answer: it goes on for maxLag without the journal's word, and that was given a call before.
const bound = maxLag + 600*time.Millisecond

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
			case w.lost:
			case r.healed:
				say("%v: node %s: version %d of %s after all was well; it was changed to %d at %v: %s",
					r.began, r.node.name, r.version, r.key, w.version, w.ended, r.how)
			case w.forgotten:
			case w.number > 0 && r.began >= w.ended+bound:
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

// returned returns the change because of which time ran back on a node, or nil. While invalidations
// are on their way, a run that is not stored may give what is newer. So may the handlers' answers
// while a node is out of touch; after that, it waits for those who may have changed something, for as
// long as they may come back.
func (s *story) returned(before, r *read) *write {
	for _, w := range s.writes {
		if w.key != r.key || w.version <= r.version || w.version > before.version || w.lost || w.forgotten ||
			r.began < w.ended+bound {
			continue
		}
		outage := strings.Contains(before.how, "journal-lost") && before.began >= w.ended &&
			s.wasInTouch(before)
		if w.number > 0 || outage && r.began < w.leased {
			return &w
		}
	}
	return nil
}

// wasInTouch reports whether the node had used the store before a read: one that begins knows of no
// outage.
func (s *story) wasInTouch(before *read) bool {
	return slices.ContainsFunc(s.reads, func(r read) bool {
		return r.node == before.node && r.ended < before.began && strings.HasPrefix(r.how, "hit")
	})
}
