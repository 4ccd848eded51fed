package middleware

import (
	"hash/maphash"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/lossy"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// forcedRuns remembers, for a second, the keys for which a client forced a run of the handler
// though a fresh response was stored (Cache-Control: no-cache and its kin): those who insist within
// that second share what came of it. Without it, one client could have the handler run as often as
// it can ask. It knows keys by their hashes.
type forcedRuns struct {
	keys lossy.Table[uint64, forcedRun]
}

type forcedRun struct {
	answered time.Time
	failed   bool // with an error that left what is stored as it is
}

const (
	forcedSlots = 1 << 12
	forcedFor   = time.Second
)

func newForcedRuns() forcedRuns { return forcedRuns{lossy.New[uint64, forcedRun](forcedSlots)} }

func (t *forcedRuns) note(key string, answered time.Time, failed bool) {
	hash := maphash.String(seed, key)
	t.keys.Put(hash, hash, forcedRun{answered, failed})
}

// find returns the last forced run of the key, if it had its answer within the second before now.
func (t *forcedRuns) find(key string, now time.Time) (run forcedRun, ok bool) {
	hash := maphash.String(seed, key)
	run, ok = t.keys.Find(hash, hash)
	return run, ok && now.Sub(run.answered) < forcedFor
}

// judge is rules.Judge, except that a client that insists on more than a fresh response takes it as
// it is within a second after another one's insistence: it is what came of that, or an error came
// of that and it was kept.
func (x *exchange) judge(
	e *store.Entry, now time.Time, coverage invalidation.Coverage, flight string,
) rules.Verdict {
	v := rules.Judge(e, &x.req, x.p, now, coverage)
	if v.Use != rules.UseStale {
		return v
	}
	return x.judgeInsisted(e, now, v, flight)
}

func (x *exchange) judgeInsisted(
	e *store.Entry, now time.Time, v rules.Verdict, flight string,
) rules.Verdict {
	if !v.Insisted() {
		return v
	}
	if run, ok := x.c.forced.find(flight, now); ok && (run.failed || !e.Received.Before(run.answered)) {
		v.Use, v.Why = rules.UseFresh, ""
	}
	return v
}

// failedLately reports whether a client that insists can do no better than with what is stored,
// because the run that another has just forced answered with an error.
func (l *lookup) failedLately() bool {
	if !l.found.verdict.Insisted() {
		return false
	}
	run, ok := l.x.c.forced.find(l.found.flight, time.Now())
	return ok && run.failed
}

// noteForced remembers what came of a run that a client forced. What is for one client alone is
// nothing to share, and neither is an error that tells nothing of a GET without its fields: who
// sends such requests on purpose would keep everybody from a newer response.
func (n *run) noteForced(answered time.Time, failed bool) {
	if !n.found.verdict.Insisted() || n.x.req.Directives.NoStore || failed && n.failsAlone() {
		return
	}
	n.x.c.forced.note(n.found.flight, answered, failed && n.found.entry.Status < 400)
}

// failsAlone reports whether an error is due to the request's own fields or its user, or to HEAD,
// which many handlers refuse.
func (n *run) failsAlone() bool {
	return n.suspect() || n.x.req.Class == rules.ClassHead || n.x.req.Credentials && !n.x.p.Shared
}

// failing reports whether the handler's answer is an error that says nothing of whether there still
// is such a page, as 404 and 410 do.
func (n *run) failing() bool {
	status := n.rec.status
	return n.said.failure() != nil || status >= 400 && status != http.StatusNotFound &&
		status != http.StatusGone
}

// suspect reports whether the handler's answer is an error which the leader's request may have
// caused, rather than what it asks for.
func (n *run) suspect() bool { return n.rec.status >= 400 && rules.Suspect(n.x.r.Header) }

// displaces reports whether a response that may be stored is an error that would push out a good
// page: one that is fresh, because a client insisted on a newer one or a refresh came early; or
// any, by a lifetime that the error does not state itself. Where there are variants the good page
// may be another than the one at hand. Where the run had no room for the page, it counts as fresh.
func (n *run) displaces(a *rules.Admission) bool {
	switch {
	case n.rec.status < 400:
		return false
	case n.crowded:
		return !a.Explicit || n.failing()
	}
	good := n.found.entry != nil && n.found.entry.Status < 400
	if !a.Explicit {
		return good || n.found.indexed
	}
	return good && (n.found.verdict.Insisted() || n.renewsEarly()) && n.failing()
}

// renewsEarly reports whether the run is a refresh of what is fresh yet.
func (n *run) renewsEarly() bool { return n.x.refresh != nil && n.found.verdict.TTL > 0 }

// dropOutdated removes a fresh response when a client that insisted on a newer one got it, as its
// validators or its length show, and nobody may store that: it may have changed so lately that no
// lifetime can be guessed, or say no-store now. The next requests would get what is known to be
// old. What only this request brought about removes nothing.
func (n *run) dropOutdated(h http.Header) {
	if !n.found.verdict.Insisted() || n.found.entry == nil || n.ownFault() ||
		n.said.failure() != nil {
		return
	}
	_, outdated := rules.HeadUpdate(rules.Unannounced(n.found.entry), n.rec.status, h)
	if outdated && !n.storableForOthers(n.rec.status, h) {
		n.x.c.remove(n.x.r.Context(), n.found.entry)
	}
}
