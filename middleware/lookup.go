package middleware

import (
	"context"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// lookup is a request that may be answered with a stored response, with what was found for it.
type lookup struct {
	x      exchange
	found  found
	waits  *time.Time // since when it waits for others' responses, if it does
	missed bool       // missedAnEnd has reported it once

	// waited is why it waited, for another process or for a run that came to nothing, or FwdNone:
	// what is fresh when it looks again has come meanwhile, and is no hit.
	waited policy.Fwd

	disagrees bool // it goes by no lease any more

	behind *refreshTicket // the run in the background that it has started, or nil
	reader *fill.Reader   // its place in what it waits for, or nil
	held   held           // what it found, as it is counted while it waits
}

// found is what a look into the store found.
type found struct {
	stored
	flight  string        // the key under which requests for the same response meet
	indexed bool          // the primary key holds an index of variants
	missed  policy.Fwd    // why there is no stored response
	broken  policy.Reason // what the store failed to do, empty when it works
	sick    bool          // ... and it was not this one value that it refused
	ended   uint64        // how many fills had ended before the store was asked
	served  policy.Reason // what is special about a fresh response, empty for most

	elsewhere bool // the store of another process may have a better one, and was not asked
}

// stored is a stored response that a request selects, or none, with what it is good for.
type stored struct {
	entry    *store.Entry
	coverage invalidation.Coverage // by the invalidations since
	verdict  rules.Verdict
}

// action is what a request does with what was found.
type action uint8

const (
	hit        action = iota // answer with it
	serveStale               // answer with it, although it is stale
	throttled                // the same, and no try of the handler: the last one has just failed
	timeOut                  // answer with 504: the client wants a stored response or none
	fetch                    // run the handler, or read along with a run of it
)

// next is what comes after a fetch.
type next uint8

const (
	answered  next = iota
	lookAgain      // what it waited for was not for this request
	lookFree       // ... because the run was out of time, so that its key is free
)

// maxLookups bounds how often a request goes back to the store after it read along with a fill that
// turned out to be for another variant. Then it runs the handler by itself. Runs that were out of
// time do not count.
const maxLookups = 4

// serve answers from the store if it may, and otherwise by running the handler.
func (l *lookup) serve() {
	for looked, now := 0, l.x.tally.arrived(); looked < maxLookups; looked, now = looked+1, time.Now() {
		l.found = l.x.find(now)
		does := l.decide(now)
		if l.x.account != nil && l.accounted(does, now) {
			return
		}
		h := l.x.c.hits.Load()
		if h != nil && h.atOnce {
			l.learn(h)
		}
		switch does {
		case hit, serveStale, throttled:
			if l.renews(does, now) {
				l.startRefresh()
			}
			if does == hit && h != nil && !h.atOnce {
				l.learn(h)
			}
			l.hit(l.found.entry, l.outcome(does), now)
			return
		case timeOut:
			l.x.notCached()
			return
		case fetch:
			if l.found.sick && l.x.c.options.Strict {
				l.x.unavailable(l.found.broken)
				return
			}
			switch l.fetch() {
			case answered:
				return
			case lookFree:
				looked-- // Timeout and MaxWait bound how long it goes on
			}
		}
	}
	l.found.stored = stored{}
	l.alone(policy.Outcome{Fwd: policy.FwdMiss, Detail: reasonContended})
}

// outcome returns that of a request which is answered with what was found.
func (l *lookup) outcome(does action) policy.Outcome {
	out := policy.Outcome{Hit: true, TTL: l.found.verdict.TTL, HasTTL: true}
	switch does {
	case hit:
		if l.waited != policy.FwdNone {
			return policy.Outcome{Fwd: l.waited, Collapsed: true}
		}
		out.Detail = l.found.served
	case throttled:
		out.Stale, out.Detail = out.TTL <= 0, reasonThrottled
	default:
		out.Stale = true
	}
	return out
}

// decide chooses what the request does with what was found.
func (l *lookup) decide(now time.Time) action {
	f := &l.found
	onlyIfCached := l.x.req.Directives.OnlyIfCached
	switch use := f.verdict.Use; {
	case use == rules.UseFresh && l.x.servedBy(f.entry, now):
		return hit
	case use >= rules.UseStaleWhileRevalidate && !onlyIfCached && l.throttled(now):
		return throttled
	case use == rules.UseStaleWhileRevalidate && l.x.servedBy(f.entry, now) &&
		(onlyIfCached || l.mayServeStale()):
		return serveStale
	case onlyIfCached:
		return timeOut
	}
	return fetch
}

// mayServeStale reports whether somebody else renews what is stale: a refresh in the background, or
// a request that came before.
func (l *lookup) mayServeStale() bool {
	if l.x.refresh != nil {
		return false
	}
	return l.x.refreshes() || l.x.c.fills.Find(l.found.flight, l.mayJoin) != nil
}

// renews reports whether a refresh is started for the request, which is answered with what was found.
func (l *lookup) renews(does action, now time.Time) bool {
	switch does {
	case hit:
		return l.refreshesEarly(now)
	case serveStale:
		return l.renewsBehind()
	}
	return false
}

// renewsBehind reports whether the request may start a refresh.
func (l *lookup) renewsBehind() bool { return l.x.refreshes() && !l.x.req.Directives.OnlyIfCached }

// servedBy reports whether e, which is good enough for the request, also holds what it asks for.
func (x *exchange) servedBy(e *store.Entry, now time.Time) bool {
	return e.Spans == nil || x.req.Range && x.servedByPart(e, now)
}

func (x *exchange) servedByPart(e *store.Entry, now time.Time) bool {
	answer, spans := rules.SelectRange(x.r.Header, e.Header, e.Total, now)
	return answer == rules.RangePart && rules.Holds(e, spans)
}

// find returns what the store has for the request. It finds nothing in place of what a hard
// invalidation covers.
func (x *exchange) find(now time.Time) found {
	f := found{flight: x.req.Key, missed: policy.FwdURIMiss, ended: x.c.fills.Ended()}
	f.verdict.Use = rules.UseMiss
	if !x.c.journal.InTouch(now) {
		f.broken, f.sick = reasonJournal, true
		return f
	}
	if x.wrote.unseen() {
		f.missed = policy.FwdRequest
		return f
	}
	f.entry, f.coverage = x.selected(&f, now)
	if f.entry == nil {
		x.takeFailure(&f, now)
		return f
	}
	f.verdict = x.judge(f.entry, now, f.coverage, f.flight)
	if f.verdict.Why == rules.ReasonClock {
		x.c.warnOfClock(rules.Ahead(f.entry, now))
	}
	if x.c.near != nil && rules.NewerMayServe(f.entry, f.verdict, &x.req) {
		if x.target != nil {
			f.elsewhere = true
		} else {
			x.takeNewer(&f, now)
		}
	}
	x.takeFailure(&f, now)
	if x.refresh != nil && f.verdict.Use == rules.UseFresh {
		f.verdict = rules.ToRenew(f.entry, f.verdict)
	}
	return f
}

// selected returns the response that the request selects, and its coverage, or nil. It notes in f
// why.
func (x *exchange) selected(f *found, now time.Time) (*store.Entry, invalidation.Coverage) {
	e := x.get(x.req.Key, f)
	if e == nil {
		return nil, invalidation.CoverageNone
	}
	if e.Variants == nil {
		coverage := x.covered(e)
		x.account.invalidated(x, e, coverage)
		if coverage == invalidation.CoverageHard || x.objects(e, now, f) {
			return nil, coverage
		}
		return e, coverage
	}
	variant, coverage := x.choose(e, now, f)
	if variant == nil && x.c.near != nil && x.target == nil {
		// Others may have added variants since the index came near.
		if e = x.ask(tier.SkipNear(x.r.Context()), x.req.Key, f); e != nil && e.Variants != nil {
			variant, coverage = x.choose(e, now, f)
		}
	}
	return variant, coverage
}

// takeNewer replaces what is near and not fresh by what another process has stored in its place
// since.
func (x *exchange) takeNewer(f *found, now time.Time) {
	other := x.ask(tier.SkipNear(x.r.Context()), f.entry.Key, f)
	if other == nil || other == f.entry || other.Variants != nil ||
		!other.Received.After(f.entry.Received) {
		return
	}
	coverage := x.covered(other)
	if coverage == invalidation.CoverageHard || !x.matches(other) ||
		x.objects(other, now, f) {
		return
	}
	f.stored = stored{other, coverage, x.judge(other, now, coverage, f.flight)}
}

// choose finds the variant among those that the index lists (RFC 9111 section 4.1).
func (x *exchange) choose(
	index *store.Entry, now time.Time, f *found,
) (*store.Entry, invalidation.Coverage) {
	f.indexed, f.missed = true, policy.FwdVaryMiss
	x.account.indexed(index.Variants)
	var first [4]*store.Entry
	candidates := first[:0]
	var last invalidation.Coverage // of the last candidate
	for _, fields := range index.Variants {
		key := x.variantKey(fields)
		// the newest set of fields comes last: what the next response will vary on, most likely
		f.flight = key
		e := x.get(key, f)
		if e == nil || e.Variants != nil || !x.matches(e) {
			continue
		}
		coverage := x.covered(e)
		x.account.invalidated(x, e, coverage)
		if coverage == invalidation.CoverageHard {
			f.missed = policy.FwdMiss // there may be other variants, or none
			continue
		}
		if x.objects(e, now, f) {
			continue
		}
		last = coverage
		candidates = append(candidates, e)
	}
	switch len(candidates) {
	case 0:
		if x.covered(index) == invalidation.CoverageHard {
			f.missed = policy.FwdURIMiss // whatever it lists is older
		}
		return nil, invalidation.CoverageNone
	case 1:
		return candidates[0], last
	}
	e := rules.Choose(candidates)
	return e, x.covered(e)
}

// variantKey returns the key of the variant that the request selects by fields. It allocates
// nothing when that is the one that a request for the target selected last.
func (x *exchange) variantKey(fields []string) string {
	var buf [512]byte
	return x.place.text(rules.AppendVariantKey(buf[:0], x.req.Key, fields, x.selects(fields)))
}

// covered returns the coverage of e, and of the URI as this request sent it: e may have been made
// of a request for another one. An entry that is newer than what this process knows of the journal
// waits until that has been asked, and is of no use if it cannot be.
func (x *exchange) covered(e *store.Entry) invalidation.Coverage {
	if !x.c.journal.Knows(e.Number) && (x.target != nil || !x.c.journal.Reach(e.Number)) {
		return invalidation.CoverageHard
	}
	return x.coveredHere(e)
}

// coveredHere is covered of an entry that this process has made: all marks up to its number were
// applied before its run began.
func (x *exchange) coveredHere(e *store.Entry) invalidation.Coverage {
	return x.coveredSince(e, 0)
}

// coveredSince is coveredHere of what comes of a run that this process began when so many marks had
// been held that the journal did not take.
func (x *exchange) coveredSince(e *store.Entry, held uint64) invalidation.Coverage {
	coverage := x.c.journal.CoversSince(e, held)
	if x.arrivedAs != nil {
		coverage = max(coverage, x.arrivedCoverage(e.Number, held))
	}
	if x.req.Sent == "" || e.URI == x.req.Sent {
		return coverage
	}
	sent := store.Entry{URI: x.req.Sent, Number: e.Number}
	return max(coverage, x.c.journal.CoversSince(&sent, held))
}

// objects reports whether a stored response may not be used because of what handlers outside have
// put into the header, or because it does not answer the request's Origin.
func (x *exchange) objects(e *store.Entry, now time.Time, f *found) bool {
	why := x.outside.Objects(e, x.p, now)
	if why == "" && rules.OriginOf(x.r, &x.outside).Allowed(e) {
		return false
	}
	x.account.objects(why)
	f.missed = policy.FwdMiss
	return true
}

// get reads from the store: from this process's memory if it is there.
func (x *exchange) get(key string, f *found) *store.Entry {
	if x.c.near != nil {
		if e := x.c.near.GetNear(key); ours(e, key) {
			return e
		}
	}
	if x.target != nil && !x.c.local {
		f.elsewhere = true
		return nil
	}
	return x.ask(x.r.Context(), key, f)
}

// ours reports whether an entry is what was asked for: under its key, and a response that can be
// sent, or an index.
func ours(e *store.Entry, key string) bool {
	return e != nil && e.Key == key && (e.Variants != nil || e.Status >= 200 && e.Status <= 999)
}

// ask looks in the store, and then among what is on its way there. What was on its way and arrived
// in between is in the store now. It notes in f what the store failed to do.
func (x *exchange) ask(ctx context.Context, key string, f *found) *store.Entry {
	if x.c.coming.none() {
		return x.askStore(ctx, key, f)
	}
	way := x.c.coming.shard(key)
	arrived := way.arrived.Load()
	e := x.askStore(ctx, key, f)
	if e == nil {
		e = way.find(key)
	}
	if e == nil && f.broken == "" && way.arrived.Load() != arrived {
		e = x.askStore(ctx, key, f)
	}
	return e
}

// askStore asks the store, unless a call for this request has failed: so a request waits once for a
// store that hangs.
func (x *exchange) askStore(ctx context.Context, key string, f *found) *store.Entry {
	if x.c.local {
		return x.c.ask(ctx, key, f)
	}
	if x.tally.failed {
		f.broken, f.sick = reasonStoreError, true
		return nil
	}
	began := time.Now()
	e := x.c.ask(ctx, key, f)
	x.tally.backend += time.Since(began)
	x.tally.failed = f.sick
	return e
}
