package middleware

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// What the engine itself has to say in the detail of Cache-Status.
const (
	ReasonOnlyIfCached policy.Reason = "only-if-cached" // the client wanted a stored response or none
	ReasonStoreError   policy.Reason = "store-error"    // the store failed; the handler answered
	ReasonPass         policy.Reason = "pass"           // in Outcome.Passed: stored, but each request has to ask the handler
	ReasonTooLarge     policy.Reason = "too-large"      // the body was longer than Policy.MaxBody, or all fills together than MaxFillBytes
	ReasonCut          policy.Reason = "cut"            // the response ended before it was complete
	ReasonHijacked     policy.Reason = "hijacked"       // the handler took the connection
	ReasonLost         policy.Reason = "lost"           // the handler panicked or failed before it answered
	ReasonContended    policy.Reason = "contended"      // read along with fills of other variants too often
	ReasonOutdated     policy.Reason = "outdated"       // invalidated while the handler ran
	ReasonLeft         policy.Reason = "left"           // the client left while it waited for another's response
	ReasonJournal      policy.Reason = "journal-lost"   // out of touch with the journal for too long to trust what is stored
	ReasonWaited       policy.Reason = "waited"         // waited for another's response for longer than Policy.MaxWait
	ReasonTimeout      policy.Reason = "timeout"        // the handler ran for longer than Policy.Timeout
	ReasonCrowded      policy.Reason = "crowded"        // clients hold too much of what is stored; the handler answered
	ReasonStalled      policy.Reason = "stalled"        // the client that led did not take what it was sent, so its run was for it alone
	ReasonEmpty        policy.Reason = "empty"          // the handler wrote nothing at all, and no lifetime
	ReasonRoute        policy.Reason = "route"          // nothing tells this route from others of its router
	ReasonHandler      policy.Reason = "handler"        // the handler said so, through From
)

// find returns the stored response that the request selects, and its coverage. It returns nil when there is none, and
// in place of what a hard invalidation covers.
func (x *exchange) find(now time.Time) (*store.Entry, store.Coverage) {
	x.flight, x.indexed, x.missed, x.broken = x.req.Key, false, policy.FwdURIMiss, ""
	x.seen = x.c.fills.Ended()
	if !x.c.follow.InTouch(now) {
		x.broken = ReasonJournal
		return nil, store.CoverageNone
	}
	e := x.get(x.req.Key)
	if e == nil {
		return nil, store.CoverageNone
	}
	if e.Variants == nil {
		coverage := x.covered(e)
		if coverage == store.CoverageHard || x.objects(e, now) {
			return nil, coverage
		}
		return e, coverage
	}
	found, coverage := x.choose(e, now)
	if found == nil && x.c.near != nil {
		// Others may have added variants since the index came near.
		if e = x.ask(store.SkipNear(x.r.Context()), x.req.Key); e != nil && e.Variants != nil {
			found, coverage = x.choose(e, now)
		}
	}
	return found, coverage
}

// newest is e, which is near and not fresh, or what another process has stored in its place since.
func (x *exchange) newest(e *store.Entry, v rules.Verdict, now time.Time) (*store.Entry, rules.Verdict) {
	other := x.ask(store.SkipNear(x.r.Context()), e.Key)
	if other == nil || other == e || other.Variants != nil || !other.Received.After(e.Received) {
		return e, v
	}
	coverage := x.covered(other)
	if coverage == store.CoverageHard || !rules.Matches(other.Vary, x.r.Header) || x.objects(other, now) {
		return e, v
	}
	return other, x.judge(other, now, coverage)
}

// choose finds the variant among those that the index lists (RFC 9111 section 4.1).
func (x *exchange) choose(index *store.Entry, now time.Time) (*store.Entry, store.Coverage) {
	x.indexed, x.missed = true, policy.FwdVaryMiss
	var first [4]*store.Entry
	candidates := first[:0]
	var last store.Coverage // of the last candidate
	for _, fields := range index.Variants {
		key := x.variantKey(fields)
		x.flight = key // the newest set of fields comes last: what the next response will vary on, most likely
		e := x.get(key)
		if e == nil || e.Variants != nil || !rules.Matches(e.Vary, x.r.Header) {
			continue
		}
		coverage := x.covered(e)
		if coverage == store.CoverageHard {
			x.missed = policy.FwdMiss // there may be other variants, or none
			continue
		}
		if x.objects(e, now) {
			continue
		}
		last = coverage
		candidates = append(candidates, e)
	}
	switch len(candidates) {
	case 0:
		if x.covered(index) == store.CoverageHard {
			x.missed = policy.FwdURIMiss // whatever it lists is older
		}
		return nil, store.CoverageNone
	case 1:
		return candidates[0], last
	}
	e := rules.Choose(candidates)
	return e, x.covered(e)
}

// variantKey returns the key of the variant that the request selects by fields. It allocates nothing when that is the
// one that a request for the target selected last.
func (x *exchange) variantKey(fields []string) string {
	var buf [512]byte
	return x.place.text(rules.AppendVariantKey(buf[:0], x.req.Key, fields, x.r.Header))
}

// covered returns the coverage of e, and of the URI as this request sent it: e may have been made of a request for
// another one.
func (x *exchange) covered(e *store.Entry) store.Coverage {
	coverage := x.c.follow.Covers(e)
	if x.req.Sent == "" || e.URI == x.req.Sent {
		return coverage
	}
	return max(coverage, x.c.follow.Covers(&store.Entry{URI: x.req.Sent, Fill: e.Fill}))
}

// get reads from the store: from this process's memory if it is there.
func (x *exchange) get(key string) *store.Entry {
	if x.c.near != nil {
		if e := x.c.near.GetNear(key); ours(e, key) {
			return e
		}
	}
	return x.ask(x.r.Context(), key)
}

// ours says whether an entry is what was asked for: under its key, and a response that can be sent, or an index.
func ours(e *store.Entry, key string) bool {
	return e != nil && e.Key == key && (e.Variants != nil || e.Status >= 200 && e.Status <= 999)
}

// ask looks in the store, and then among what is on its way there. What was on its way and arrived in between is in the
// store now.
func (x *exchange) ask(ctx context.Context, key string) *store.Entry {
	if x.c.coming.none() {
		return x.askStore(ctx, key)
	}
	way := x.c.coming.shard(key)
	arrived := way.arrived.Load()
	e := x.askStore(ctx, key)
	if e == nil {
		e = way.find(key)
	}
	if e == nil && x.broken == "" && way.arrived.Load() != arrived {
		e = x.askStore(ctx, key)
	}
	return e
}

// askStore is the only door to the store for reading. A store that fails is a miss that is counted.
func (x *exchange) askStore(ctx context.Context, key string) *store.Entry {
	e, err := x.c.fetch(ctx, key)
	switch {
	case err == nil:
		x.c.answered()
		if ours(e, key) {
			return e
		}
	case errors.Is(err, store.ErrNotFound):
		x.c.answered()
	default:
		x.broken = ReasonStoreError
		x.c.fault("store: get", err)
	}
	return nil
}

// fetch asks the store, within its time.
func (c *Cache) fetch(ctx context.Context, key string) (*store.Entry, error) {
	if c.local {
		return c.Store.Get(ctx, key)
	}
	ctx, end := c.calls.Within(context.WithoutCancel(ctx), time.Now(), c.StoreTimeout)
	defer end()
	return c.guardedGet(ctx, key)
}

// guardedGet asks the store. One that panics is broken, like one that fails.
func (c *Cache) guardedGet(ctx context.Context, key string) (e *store.Entry, err error) {
	defer caught(&err)
	return c.Store.Get(ctx, key)
}

func caught(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("the store panicked: %v", v)
	}
}
