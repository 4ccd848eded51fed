// Package history judges what clients of several processes were answered: whether it is what
// docs/guarantees.md promises. It knows neither how the processes run nor what fails. All times are
// of one clock, since the history began.
package history

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Read is a page that a client got.
type Read struct {
	Key          string
	Node         string        // of the process that answered: each life of it is another node
	Born         time.Duration // not before which the node began
	Began, Ended time.Duration
	Version      int    // of the page; negative: it got none
	How          string // what Cache-Status says
	Healed       bool   // all was well again, and all had had time to agree
	Client       int    // who shows its token; 0: nobody
}

// Write is a change of a page, whose invalidation has returned.
type Write struct {
	Key          string
	Node         string
	Began, Ended time.Duration // Ended: when the invalidation returned
	Version      int           // which the change gave the page
	Acknowledged bool          // the journal took it
	Lost         bool          // it may be lost: with its node, say
	Forgotten    bool          // the journal may have lost it, and not those who know of it
	Leased       time.Duration // how long others count its node in at least
	Gone         time.Duration // since when no node may use what it covers; 0: not known
	Client       int           // who has a token for it; 0: nobody
}

// History is what happened.
type History struct {
	// how long after an invalidation that the journal took another node may give an older answer
	Bound  time.Duration
	Reads  []Read
	Writes []Write
}

// Violations returns what must not happen and did.
func (h *History) Violations() (all []string) {
	byKey := make(map[string][]Write)
	for _, w := range h.Writes {
		byKey[w.Key] = append(byKey[w.Key], w)
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		if r.Version < 0 {
			all = append(all, fmt.Sprintf("%v: node %s: no page: %s", r.Ended, r.Node, r.How))
			continue
		}
		for _, w := range byKey[r.Key] {
			if r.Version >= w.Version {
				continue
			}
			if what := h.broken(r, &w); what != "" {
				all = append(all, fmt.Sprintf("%v: node %s: version %d of %s, %s: %s", r.Began,
					r.Node, r.Version, r.Key, what, r.How))
			}
			if before := h.ranBack(r, &w); before != nil {
				all = append(all, fmt.Sprintf("%v: node %s: version %d of %s (%s) after version %d "+
					"at %v (%s), invalidated at %v", r.Began, r.Node, r.Version, r.Key, r.How,
					before.Version, before.Ended, before.How, w.Ended))
			}
		}
	}
	return all
}

// broken returns why a read must not be older than a write, or "" where it may be.
func (h *History) broken(r *Read, w *Write) string {
	switch {
	case w.Node == r.Node && r.Began > w.Ended: // of one moment nobody knows which came first
		return fmt.Sprintf("and it had invalidated it at %v", w.Ended)
	case w.Client > 0 && w.Client == r.Client && r.Began > w.Ended:
		return fmt.Sprintf("and client %d had written %d at %v", r.Client, w.Version, w.Ended)
	case w.Gone > 0 && r.Began > w.Gone:
		return fmt.Sprintf("and %d, of node %s, was known to all at %v", w.Version, w.Node, w.Gone)
	case w.Lost:
	case r.Healed:
		return fmt.Sprintf("after all was well; it was changed to %d at %v", w.Version, w.Ended)
	case w.Forgotten:
	case w.Acknowledged && r.Born > w.Ended:
		return fmt.Sprintf("and it began at %v, after node %s had changed it to %d at %v", r.Born,
			w.Node, w.Version, w.Ended)
	case w.Acknowledged && r.Began >= w.Ended+h.Bound:
		return fmt.Sprintf("and node %s had changed it to %d at %v, which the journal took", w.Node,
			w.Version, w.Ended)
	}
	return ""
}

// ranBack returns an earlier read on a node of what a write made, where a later read must not be
// older, or nil. While invalidations are on their way, a run that is not stored may give what is
// newer. So may the handlers' answers while a node is out of touch; after that, it waits for those
// who may have changed something, for as long as they may come back.
func (h *History) ranBack(r *Read, w *Write) *Read {
	if w.Lost || w.Forgotten || r.Began < w.Ended+h.Bound || !w.Acknowledged && r.Began >= w.Leased {
		return nil
	}
	for i := range h.Reads {
		before := &h.Reads[i]
		if before.Node != r.Node || before.Key != r.Key || before.Ended > r.Began ||
			before.Version < w.Version {
			continue
		}
		outage := strings.Contains(before.How, "journal-lost") && before.Began >= w.Ended &&
			h.wasInTouch(before)
		if w.Acknowledged || outage {
			return before
		}
	}
	return nil
}

// wasInTouch reports whether the node had used the store before a read: one that begins knows of no
// outage.
func (h *History) wasInTouch(before *Read) bool {
	return slices.ContainsFunc(h.Reads, func(r Read) bool {
		return r.Node == before.Node && r.Ended < before.Began && strings.HasPrefix(r.How, "hit")
	})
}

// Lag returns how long after the return of an invalidation that the journal took another node gave
// an older answer at the latest.
func (h *History) Lag() (most time.Duration) {
	for _, r := range h.Reads {
		for _, w := range h.Writes {
			if w.Acknowledged && w.Key == r.Key && r.Version < w.Version && w.Node != r.Node {
				most = max(most, r.Began-w.Ended)
			}
		}
	}
	return most
}
