package middleware

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// accounted writes what was found and what the request does with it, and reports whether that is
// all: an explanation without a fetch ends there, and one with a fetch tries the handler out.
func (l *lookup) accounted(does action, now time.Time) (all bool) {
	x := &l.x
	out := l.foresee(does)
	x.account.found(l, does)
	switch x.account.t.mode {
	case traceLook:
		x.account.conclude(out, true)
		return true
	case traceFetch:
		switch {
		case !x.account.part || does == fetch:
			l.tryOut(does, out)
		case does == timeOut:
			x.notCached()
		// the handler runs once, and gets its parts; no refresh, which would change something
		default:
			x.deliver(l.found.entry, out, now)
		}
		return true
	}
	return false
}

// foresee returns the outcome of what the request does, as far as it is decided.
func (l *lookup) foresee(does action) policy.Outcome {
	switch does {
	case hit, serveStale, throttled:
		return l.outcome(does)
	case timeOut:
		return policy.Outcome{Detail: reasonOnlyIfCached}
	}
	out := policy.Outcome{Fwd: l.found.forwarded(), Detail: l.found.broken}
	if l.x.wrote.unseen() {
		out.Detail = cmp.Or(out.Detail, reasonWrite)
	}
	return out
}

// tryout is a run of the handler whose response is judged, and neither stored nor shared.
type tryout struct {
	*run
	judged bool
}

// tryOut runs the handler, without the conditions of the cache's own, and judges its response.
func (l *lookup) tryOut(does action, out policy.Outcome) {
	n := newRun(l, l.x.newFill(), policy.Outcome{Fwd: out.Fwd, Detail: out.Detail})
	n.solo = !l.collapses()
	t := &tryout{run: n}
	n.rec.to = t
	defer n.leaves.close()
	defer n.over()
	defer n.letGoOfBody()
	r := n.request(true)
	n.unlinked()
	defer context.AfterFunc(n.x.r.Context(), n.cancel)()
	defer n.cancel()
	n.begun.set(false)
	defer func() {
		if !t.judged { // the handler panicked
			n.out.Detail = reasonLost
		}
		if does == fetch {
			out = n.out
		}
		n.x.account.conclude(out, true)
	}()
	n.x.next.ServeHTTP(&n.rec, r)
	if !n.rec.wrote {
		n.mute = true
		n.rec.WriteHeader(http.StatusOK)
	}
	t.judge(true)
	t.ended()
}

// ended takes back that the response would be stored, where its body shows that it is not.
func (t *tryout) ended() {
	n := t.run
	switch {
	case !n.out.Stored:
	case n.said.silent() != "":
		n.out.Stored, n.out.Detail = false, n.said.silent()
	case n.rec.broken(), n.said.failure() != nil && !n.failure:
		n.out.Stored, n.out.Detail = false, reasonCut
	case n.rec.written > min(n.x.maxBody(), n.x.c.room.body):
		n.out.Stored, n.out.Detail = false, reasonTooLarge
	}
}

// judge judges the response when enough of it is there, and passes it on to who is outside.
func (t *tryout) judge(final bool) {
	n := t.run
	if t.judged {
		return
	}
	t.judged = true
	if at := n.x.account.t.at; !at.IsZero() {
		n.began, n.rec.received = at, at
	}
	h, removed := n.rec.response()
	n.removed = removed
	if n.out.FwdStatus = n.rec.status; n.said.failure() != nil {
		n.out.FwdStatus, n.out.Detail = 0, reasonLost
	}
	if n.standsIn() {
		n.out.Stale = true
		n.x.account.add("response", explain.Fact{What: "stands in",
			Value: "the stale stored response would be served in the " +
				"place of the error", RFC: "RFC 9111 section 4.2.4"})
	}
	a, _ := n.admit(h, n.rec.status, final)
	n.dropRemoved()
	var e *store.Entry
	if a.Store {
		e = t.wouldKeep(h, a, final)
	}
	n.x.header(h, nil, -1, &n.out)
	n.x.clientsRevalidate(n.rec.status)
	if g := n.x.gate(); g != nil && e != nil {
		sent := n.x.w.Header()
		n.x.account.leavesBy(g.expect(&passage{
			f: n.f, status: n.rec.status, sent: rules.SentWith(sent, n.x.p),
			told: lastOf(sent["Cache-Status"]), p: n.x.p, e: e,
			veiled: n.x.veiled, layered: n.layered, who: n.x.who,
		}))
	}
	n.x.sendHeader(n.rec.status)
	if bodyAllowed(n.rec.status) && n.x.req.Class != rules.ClassHead {
		n.x.w.Write(n.rec.held)
	}
	n.rec.held = nil
}

// wouldKeep makes the entry that would be stored, and looks whether there is room for it.
func (t *tryout) wouldKeep(h http.Header, a rules.Admission, final bool) *store.Entry {
	n := t.run
	e := n.entry(rules.Storable(h, a.Strip), a, n.rec.status)
	n.validators(h, e, final)
	n.x.account.keeps(e)
	if e.Body = n.rec.held; final {
		n.checkRoom(e)
	} else {
		n.promise(e)
	}
	return e
}

func (t *tryout) client() http.ResponseWriter { return t.x.w }
func (t *tryout) holds() bool                 { return !t.judged }
func (t *tryout) decide()                     { t.judge(false) }
func (t *tryout) onInform(int)                {}
func (t *tryout) onBegin()                    { t.begun.set(true) }
func (t *tryout) onHeader(int)                { t.lost = t.said.failure() != nil }
func (t *tryout) copies() bool                { return false }
func (t *tryout) flush() error                { return nil }

func (t *tryout) onHijack() {
	t.begun.set(true)
	t.judged, t.out.Detail = true, reasonHijacked
}

// write passes on what is not held back. Nobody keeps it.
func (t *tryout) write(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	return t.x.w.Write(p)
}

func (t *tryout) copyFrom(src io.Reader) (int64, error) { return io.Copy(t.x.w, src) }
