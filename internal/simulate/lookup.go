package simulate

import (
	"net/http"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// exchange is one request on its walk through the cache.
type exchange struct {
	*Simulator
	q *request
	p *policy.Policy
}

// found is what a look into the store found, as in middleware/lookup.go.
type found struct {
	entry   *store.Entry
	verdict rules.Verdict
	flight  string // the key under which requests for the same response meet
	indexed bool   // the primary key holds an index of variants
}

// lookup answers from the store if it may, and otherwise by running the handler.
func (x *exchange) lookup() {
	for range maxLookups {
		f := x.find()
		directives := &x.q.req.Directives
		switch use := f.verdict.Use; {
		case use == rules.UseFresh:
			x.hit(f.entry, false)
			return
		case use == rules.UseStaleWhileRevalidate:
			if !directives.OnlyIfCached {
				x.refresh(&f)
			}
			x.hit(f.entry, true)
			return
		case directives.OnlyIfCached:
			x.pass(x.q, rules.ReasonMethod)
			return
		}
		if x.fetch(&f) {
			return
		}
	}
	x.run(&found{flight: x.q.req.Key}, true)
}

// hit counts a request that is answered with a stored response.
func (x *exchange) hit(e *store.Entry, stale bool) {
	c := x.counts(x.q)
	c.Hits++
	if stale {
		c.Stale++
	}
	c.CacheBytes += x.sent(e)
}

// sent returns how many bytes of a stored response the client gets: as many as it got, where it
// asked for a part or had the whole already.
func (x *exchange) sent(e *store.Entry) int64 {
	switch {
	case x.q.req.Class == rules.ClassHead, x.q.Status == http.StatusNotModified:
		return 0
	case x.q.Status == http.StatusPartialContent:
		return x.q.Bytes
	}
	return e.Total
}

// find returns what the store has for the request.
func (x *exchange) find() found {
	f := found{flight: x.q.req.Key}
	f.verdict.Use = rules.UseMiss
	e := x.get(x.q.req.Key)
	if e == nil {
		return f
	}
	coverage := invalidation.CoverageNone
	if e.Variants == nil {
		coverage = x.covers(e)
	} else if e, coverage = x.choose(e, &f); e == nil {
		return f
	}
	if coverage == invalidation.CoverageHard {
		return f
	}
	f.entry, f.verdict = e, x.judge(e, coverage, f.flight)
	return f
}

// choose finds the variant among those that the index lists (RFC 9111 section 4.1).
func (x *exchange) choose(index *store.Entry, f *found) (*store.Entry, invalidation.Coverage) {
	f.indexed = true
	var candidates []*store.Entry
	for _, fields := range index.Variants {
		key := rules.VariantKey(x.q.req.Key, fields, x.q.http.Header)
		f.flight = key
		e := x.get(key)
		if e == nil || !rules.Matches(e.Vary, x.q.http.Header) ||
			x.covers(e) == invalidation.CoverageHard {
			continue
		}
		candidates = append(candidates, e)
	}
	if len(candidates) == 0 {
		return nil, invalidation.CoverageNone
	}
	e := candidates[0]
	// rules.Choose goes by Date, which these entries do not have
	for _, other := range candidates[1:] {
		if !other.Received.Before(e.Received) {
			e = other
		}
	}
	return e, x.covers(e)
}

// covers returns what the invalidations since mean for e, and for the URI as this request sent it.
func (x *exchange) covers(e *store.Entry) invalidation.Coverage {
	coverage := x.replica.Covers(e)
	if sent := x.q.req.Sent; sent != "" && e.URI != sent {
		coverage = max(coverage, x.replica.Covers(&store.Entry{URI: sent, Number: e.Number}))
	}
	return coverage
}

// judge is rules.Judge, except that a client that insists on more than a fresh response takes it as
// it is within a second after another one's insistence.
func (x *exchange) judge(
	e *store.Entry, coverage invalidation.Coverage, flight string,
) rules.Verdict {
	v := rules.Judge(e, &x.q.req, x.p, x.now, coverage)
	if v.Insisted() {
		hash := hashOf(flight)
		answered, ok := x.forced.Find(hash, hash)
		if ok && x.now.Sub(answered) < forcedFor && !e.Received.Before(answered) {
			v.Use, v.Why = rules.UseFresh, ""
		}
	}
	return v
}
