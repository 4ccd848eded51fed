package simulate

import (
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// fill is a run of the handler, as in internal/fill.
type fill struct {
	flight string
	number uint64 // the newest mark when it began
	uri    string
	entry  *store.Entry // what comes of it; nil: nothing that others may have
	shared bool         // ... or they must not read along, since it is not fresh
}

// fetch answers by running the handler, or by reading along with a run of it, as
// middleware/fetch.go does. It returns false when the request is to look again.
func (x *exchange) fetch(f *found) (answered bool) {
	if !x.collapses(f) {
		return x.run(f, true)
	}
	hash := hashOf(f.flight)
	if until, ok := x.passes.Find(hash, hash); ok && !x.now.After(until) {
		return x.run(f, true)
	}
	other := x.joins(f)
	switch {
	case other == nil:
		return x.run(f, false)
	case !other.shared, other.entry.Anonymous && x.q.req.Credentials && !x.p.Shared:
		return x.run(f, true)
	case !rules.Matches(other.entry.Vary, x.q.http.Header):
		return false // there is an index by now
	}
	c := x.counts(x.q)
	c.Hits++
	c.Collapsed++
	c.CacheBytes += x.sent(other.entry)
	return true
}

// collapses reports whether the request may wait for a response that it shares with others.
func (x *exchange) collapses(f *found) bool {
	req := &x.q.req
	switch {
	case req.Class != rules.ClassRead, req.Directives.NoStore, rules.AsksForStream(x.q.http.Header):
		return false
	case req.Range && f.entry == nil:
		return false
	case req.Credentials && !x.p.Shared && (f.entry == nil || f.entry.Anonymous):
		return false
	}
	return true
}

// joins returns the run that the request reads along with, or nil.
func (x *exchange) joins(f *found) *fill {
	other := x.fills[f.flight]
	if other == nil || x.outdated(other) {
		return nil
	}
	if other.entry != nil && other.shared && x.judge(other.entry, x.covers(other.entry),
		f.flight).Use != rules.UseFresh {
		return nil
	}
	return other
}

// outdated reports whether an invalidation came after the fill began.
func (x *exchange) outdated(f *fill) bool {
	return x.replica.Covers(&store.Entry{URI: f.uri, Number: f.number}) != invalidation.CoverageNone
}

// refresh renews what is stale in the background, unless that is being done.
func (x *exchange) refresh(f *found) {
	if x.joins(f) != nil {
		return
	}
	anyone := *x.q.req.Anyone()
	anyone.Conditional, anyone.Range, anyone.Directives = false, false,
		rules.ParseRequestDirectives(nil)
	r := runOf{exchange: *x, req: &anyone, found: *f, behind: true}
	r.begin()
}

// run runs the handler for the request: solo, when no other may wait for it.
func (x *exchange) run(f *found, solo bool) (answered bool) {
	r := runOf{exchange: *x, req: &x.q.req, found: *f, solo: solo}
	r.begin()
	return true
}

// runOf is a run of the handler.
type runOf struct {
	exchange
	req    *rules.Request
	found  found
	solo   bool // for its own request alone
	behind bool // in the background
	fill   fill
}

func (r *runOf) begin() {
	r.fill = fill{flight: r.found.flight, number: r.replica.Head(), uri: r.req.URI}
	received := r.now.Add(r.takes())
	if r.found.verdict.Insisted() && !r.req.Directives.NoStore {
		hash := hashOf(r.found.flight)
		r.forced.Put(hash, hash, received)
	}
	e, why := r.answer(received)
	r.fill.entry = e
	r.fill.shared = e != nil && e.Fresh > e.Age && r.req.Class == rules.ClassRead
	if why != "" {
		r.why[why]++
	}
	if e != nil {
		r.index(e) // for those who want another variant
	}
	if !r.solo {
		r.fills[r.found.flight] = &r.fill
		if e != nil && e.Key != r.found.flight {
			r.fills[e.Key] = &r.fill
		}
	}
	if e == nil || !r.fill.shared {
		r.notePass(received)
	}
	r.after(r.takes(), r.end)
}

// notePass remembers that a response turned out not to be for others, so that they do not wait for
// the next one.
func (r *runOf) notePass(at time.Time) {
	own := r.req.Credentials && !r.p.Shared || r.req.Directives.NoStore ||
		r.q.Status >= 400 && r.found.entry != nil && r.found.verdict.Use != rules.UseMiss
	if r.solo || own {
		return
	}
	lasts := passFor
	if r.q.Status >= 400 {
		lasts = passForError
	}
	hash := hashOf(r.found.flight)
	r.passes.Put(hash, hash, at.Add(lasts))
}

// end stores what came of the run.
func (r *runOf) end() {
	if !r.solo {
		r.forget(r.found.flight)
	}
	e := r.fill.entry
	if e == nil {
		return
	}
	if !r.solo {
		r.forget(e.Key)
	}
	if r.replica.Covers(e) == invalidation.CoverageHard {
		return
	}
	r.put(e)
	hash := hashOf(r.found.flight)
	r.passes.Delete(hash, hash)
}

func (r *runOf) forget(flight string) {
	if r.fills[flight] == &r.fill {
		delete(r.fills, flight)
	}
}

// answer counts the run, and returns the entry that comes of it, or why there is none.
func (r *runOf) answer(received time.Time) (*store.Entry, policy.Reason) {
	c := r.counts(r.q)
	if r.behind {
		c.Refreshes++
	} else {
		c.Misses++
	}
	old := r.found.entry
	asks := old != nil && r.found.verdict.Validate && r.req.Class == rules.ClassRead &&
		!r.req.Range && !r.req.Directives.NoStore
	switch {
	case asks && r.unchanged(old):
		c.Revalidated++
		if !r.behind {
			c.CacheBytes += r.sent(old)
		}
		return r.stored(http.StatusOK, old.Total, received)
	case old != nil && r.found.verdict.OnError && rules.ServerError(r.q.Status):
		c.OriginBytes += r.q.Bytes
		if !r.behind {
			c.StoodIn++
		}
		return nil, ""
	}
	status, bytes := r.q.Status, r.q.Bytes
	// the handler is asked for the whole
	if status == http.StatusNotModified && !(r.solo && !asks) {
		status, bytes = http.StatusOK, r.q.whole
	}
	c.OriginBytes += bytes
	return r.stored(status, bytes, received)
}

// unchanged reports whether the handler would have answered 304 when asked whether old still holds.
func (r *runOf) unchanged(old *store.Entry) bool {
	if r.q.Status != http.StatusOK && r.q.Status != http.StatusNotModified {
		return false
	}
	for _, name := range []string{"Etag", "Last-Modified"} {
		if now := valueOf(r.q.Response, name); now != "" {
			return now == old.Header.Get(name)
		}
	}
	return r.q.whole == old.Total
}
