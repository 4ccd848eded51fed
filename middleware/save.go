package middleware

import (
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// save stores an entry, unless an invalidation has covered it since its handler began. What comes
// in between is caught when the entry is read, by its number. Out of touch with the journal, the
// entry has no number that others could trust, and what they have stored may be better.
func (n *run) save(e *store.Entry) {
	defer n.arrived()
	if e == nil || n.found.broken == reasonJournal || n.x.c.options.ReadOnly {
		return
	}
	if n.x.c.journal.Covers(e) == invalidation.CoverageHard {
		n.out.Stored, n.out.Detail = false, reasonOutdated
		return
	}
	if why := n.f.GivenUp(); why != "" {
		n.out.Stored, n.out.Detail = false, why // another run may have stored what is newer
		return
	}
	if n.outrun(e.Key) {
		return
	}
	if e != n.coming {
		if e = n.joined(e); e == nil {
			n.out.Stored = false
			return
		}
		n.index(e)
		if e != n.packed {
			e = e.Packed()
		}
	}
	n.checkRoom(e) // and yet it is put: what is stored under its key is not to be found any more
	began := time.Now()
	renews := n.inherited != nil || n.x.req.Class == rules.ClassHead
	primary := n.x.req.Key
	if n.failure {
		primary = e.Key // it says nothing of the responses
	}
	outrun, err := n.x.c.putLatest(n.x.r.Context(), e, primary, n.began, renews)
	if !n.x.c.local {
		n.x.tally.backend += time.Since(began)
	}
	switch {
	case err != nil:
		n.out.Stored, n.out.Detail = false, reasonStoreError
		return
	case outrun:
		n.out.Stored, n.out.Detail = false, reasonOutdated
		return
	}
	n.x.c.passes.forget(n.found.flight)
	n.lease.end(true)
}

// joined adds a new part to the part that is stored, and leaves a whole as it is. A part never
// takes the place of a whole, and one that is small beside what is stored waits for others. Parts
// that would be too much together, for MaxBody or for what all runs may hold, are not joined: the
// new one stands for itself.
func (n *run) joined(e *store.Entry) *store.Entry {
	old := n.found.entry
	if e.Status != http.StatusPartialContent || old == nil || old.Key != e.Key {
		return e
	}
	if old.Spans == nil {
		return nil
	}
	if n.found.verdict.Use == rules.UseMiss {
		return e // they are of two clients
	}
	if e = n.x.c.parts.add(rules.Unannounced(old), e, n.x.covered); e == nil {
		return nil
	}
	if size := int64(len(old.Body)) + int64(len(e.Body)); size > n.x.maxBody() || !n.f.Take(size) {
		return e
	}
	if both, ok := rules.Combine(rules.Unannounced(old), e); ok {
		return both
	}
	return e
}

// letPartsGo lets go of what was joined, once it is stored: a client that takes its time for one
// part would keep all of them in memory.
func (n *run) letPartsGo() {
	if n.kept != nil {
		if n.kept.Spans == nil {
			return
		}
		n.kept, n.packed = bodiless(n.kept), nil
	}
	if n.found.entry != nil {
		n.found.entry = bodiless(n.found.entry)
		n.letGoOfBody()
	}
}

// bodiless returns a copy of e that holds nothing of its memory.
func bodiless(e *store.Entry) *store.Entry {
	head := *e
	head.Body = nil
	return head.Packed() // the fields of a packed entry lie beside it
}
