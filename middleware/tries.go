package middleware

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/lossy"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// tries remembers for which keys the last run of the handler failed, so that stale responses are
// served for Policy.Throttle before the next try. It knows keys by their hashes, and forgets one
// when another one takes its slot: then there is a try more.
type tries struct {
	keys lossy.Table[uint64, failedTry]
}

type failedTry struct {
	at   time.Time
	lost bool // there was no answer, rather than an error
	// of the fill: invalidations since then give the handler another try
	number, held uint64
}

const trySlots = 1 << 12

func newTries() tries { return tries{lossy.New[uint64, failedTry](trySlots)} }

func (t *tries) note(key string, f *fill.Fill, lost bool) {
	hash := maphash.String(seed, key)
	t.keys.Put(hash, hash, failedTry{time.Now(), lost, f.Start.Number, f.Start.Held})
}

func (t *tries) forget(key string) {
	hash := maphash.String(seed, key)
	t.keys.Delete(hash, hash)
}

func (t *tries) find(key string) (failedTry, bool) {
	hash := maphash.String(seed, key)
	return t.keys.Find(hash, hash)
}

// failed reports whether a run failed in the last while.
func (t *tries) failed(key string, while time.Duration, now time.Time) bool {
	if while <= 0 {
		return false
	}
	try, ok := t.find(key)
	return ok && now.Sub(try.at) < while
}

// throttled reports whether the request gets the stale response that was found without another try
// of the handler, because the last one has just failed.
func (l *lookup) throttled(now time.Time) bool {
	x, f := &l.x, &l.found
	while := x.p.Throttle
	if while <= 0 || x.refresh != nil || f.entry == nil || f.entry.Spans != nil {
		return false
	}
	try, ok := x.c.tries.find(f.flight)
	if f.verdict.Forced() {
		while = min(while, forcedFor)
	}
	if !ok || now.Sub(try.at) >= while {
		return false
	}
	v := &f.verdict
	if v.Use != rules.UseStaleWhileRevalidate && !v.OnError && !(try.lost && v.OnLost) {
		return false
	}
	since := store.Entry{URI: f.entry.URI, Tags: f.entry.Tags, Number: try.number}
	return x.coveredSince(&since, try.held) == invalidation.CoverageNone
}

// noteTry remembers whether the run failed, where stale responses are then served for a while. What
// its own request may have caused, or the end of that, says nothing of the handler.
func (n *run) noteTry(failed, lost bool) {
	switch {
	case n.x.p.Throttle <= 0:
	case !failed:
		if n.f.GivenUp() == "" {
			n.x.c.tries.forget(n.found.flight)
		}
	case (n.ctx.Err() != context.Canceled || n.overdue.Load()) && !n.causes():
		n.x.c.tries.note(n.found.flight, n.f, lost)
	}
}

// noteOutOfTime is noteTry of a run that has been out of the policy's time.
func (n *run) noteOutOfTime() func() {
	if n.x.p.Throttle <= 0 || n.x.p.Timeout <= 0 || n.x.account != nil || n.causes() {
		return func() {}
	}
	c, key, f, began, timeout := n.x.c, n.found.flight, n.f, time.Now(), n.x.p.Timeout
	return func() {
		if time.Since(began) >= timeout { // and not only of its client's
			c.tries.note(key, f, true)
		}
	}
}

// causes reports whether a failure of the run may be due to the request's own fields, its user, or
// HEAD, which many handlers refuse.
func (n *run) causes() bool {
	return n.x.req.Class == rules.ClassHead || n.x.req.Credentials && !n.x.p.Shared ||
		rules.Suspect(n.x.r.Header)
}
