package middleware

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// request makes the handler's request. Its context ends with the leader's deadline or the policy's,
// but not because the leader's client left: others may be reading, and the response may be worth
// storing.
func (n *run) request(again bool) *http.Request {
	if n.cancel != nil {
		n.cancel()
	}
	deadline, bounded := n.x.r.Context().Deadline()
	if timeout := n.x.p.Timeout; timeout > 0 {
		if own := time.Now().Add(timeout); !bounded || own.Before(deadline) {
			deadline, bounded = own, true
		}
	}
	if bounded {
		n.ctx, n.cancel = context.WithDeadline(&n.speaks, deadline)
	} else {
		n.ctx, n.cancel = context.WithCancel(&n.speaks)
	}
	n.link()
	n.expires(n.ctx)
	n.ring()
	n.endsInTime()
	r := n.x.r.WithContext(n.ctx)
	u := &n.url
	if again {
		u = new(url.URL) // the first run's handler may still look at the other
	}
	*u = *n.x.r.URL
	// the handler may edit them; variants are chosen by what the client sent
	r.URL, r.Header = u, n.x.r.Header.Clone()
	n.condition(r, again)
	n.gave.Store(mapOf(r.Header))
	n.leaves.veil.shown.Store(mapOf(n.rec.Header()))
	n.x.req.Asked = rules.Asked(r.Header)
	n.began = time.Now()
	return r
}

// expires gives the run up at the end of its time, whether the handler looks at its context or not.
func (n *run) expires(ctx context.Context) {
	if _, bounded := ctx.Deadline(); !bounded {
		return
	}
	f, lease, late := n.f, n.lease, n.noteOutOfTime()
	context.AfterFunc(ctx, func() {
		if ctx.Err() == context.DeadlineExceeded {
			late()
			f.GiveUp(reasonTimeout)
			lease.end(true)
		}
	})
}

// ring ends the run's context at the end of HardTimeout, unless the handler has begun to answer. It
// is for a run in the goroutine of its client, which nothing else gets out of there.
func (n *run) ring() {
	if n.hard.IsZero() {
		return
	}
	if n.bell != nil {
		n.bell.Stop()
	}
	cancel, f, lease := n.cancel, n.f, n.lease
	n.bell = time.AfterFunc(time.Until(n.hard), func() {
		n.begun.mu.Lock()
		defer n.begun.mu.Unlock()
		if n.begun.yes {
			return
		}
		n.overdue.Store(true)
		f.GiveUp(reasonTimeout)
		lease.end(true)
		cancel()
	})
}

// endsInTime ends a run in the background that no Timeout bounds after backgroundTimeout. One that
// clients read by then goes on, as a client's own run would, until some time after they have left.
func (n *run) endsInTime() {
	if n.x.refresh == nil || n.x.p.Timeout > 0 {
		return
	}
	if n.bell != nil {
		n.bell.Stop()
	}
	cancel, f, lease := n.cancel, n.f, n.lease
	end := func() {
		cancel()
		lease.end(true)
	}
	n.bell = time.AfterFunc(n.x.backgroundTimeout(), func() {
		if f.Serves() {
			f.WhenDeserted(reasonLost, end)
			f.LeaderLeft()
			return
		}
		n.expired.Store(true)
		f.GiveUp(reasonTimeout)
		end()
	})
}

// outOfTime reports whether the handler's context has ended because its time was over.
func (n *run) outOfTime() bool {
	return n.expired.Load() || n.ctx.Err() == context.DeadlineExceeded
}

// writeOverdue answers in the place of a handler that returned without a word when its time was up.
func (n *run) writeOverdue() {
	n.x.writeErrorPage(&n.rec, http.StatusGatewayTimeout, reasonHard)
}

// link ends the handler's run when nobody can use it any more: a run for a single client with that
// client, a refresh with the cache, and any other some time after all clients have left.
func (n *run) link() {
	n.unlinked()
	switch cancel := n.cancel; {
	case n.x.refresh != nil:
		n.unlink = context.AfterFunc(n.x.c.stop, cancel)
		lease := n.lease
		n.x.refresh.link(func() {
			cancel()
			lease.end(true)
		})
	case n.solo:
		n.unlink = context.AfterFunc(n.x.r.Context(), cancel)
	default:
		n.linkToReaders(cancel)
	}
}

// linkToReaders ends the handler's run some time after all clients have left.
func (n *run) linkToReaders(cancel func()) {
	lease := n.lease
	n.f.WhenDeserted(reasonLost, func() {
		cancel()
		lease.end(true)
	})
	if ctx := n.x.r.Context(); ctx.Done() != nil {
		n.unlink = context.AfterFunc(ctx, n.f.LeaderLeft)
	}
}

func (n *run) unlinked() {
	if n.unlink != nil {
		n.unlink()
		n.unlink = nil
	}
}

// question is what the handler is asked for.
type question uint8

const (
	asSent question = iota // what its client asks for
	// the whole response, without conditions: the client's own are judged afterwards
	everything
	validation // whether what is stored is still good
	rest       // what the stored partial response lacks
)

// condition gives the handler's request the conditions that fit what is stored. A request that the
// handler serves alone goes to it as the client sent it; for one that others may read along with,
// the client's own conditions are taken out, and judged against the response afterwards.
func (n *run) condition(r *http.Request, again bool) {
	e, v := n.found.entry, n.found.verdict
	// what it answers is for those who wait, too
	beside := n.instead != nil && n.x.req.Class == rules.ClassRead
	n.asks = asSent
	if n.solo && !beside && (again || !n.validates()) {
		return
	}
	n.asks = everything
	switch {
	case again || e == nil || v.Use == rules.UseMiss || e.Spans == nil && !n.mayValidate(e):
		r.Header = rules.Unconditional(r.Header)
	case e.Spans == nil:
		rules.Forward(r.Header, e)
		if v.Validate {
			n.asks = validation
		}
	default:
		r.Header = rules.Unconditional(r.Header)
		gap, ok := rules.Missing(e)
		// what a user gets is not the rest of what another got, though the handler's tag says so
		own := n.x.req.Credentials && !rules.ForEveryone(e, n.x.p)
		if ok && v.Use == rules.UseFresh && !own && e.Total <= n.x.maxBody() &&
			mayRunAgain(n.x.r.Context()) &&
			rules.ForwardRange(r.Header, e, gap) {
			n.asks = rest
		}
	}
}

// validates reports whether a request that the handler serves alone is for the whole response, of
// which one is stored that may be validated.
func (n *run) validates() bool {
	e := n.found.entry
	return e != nil && e.Spans == nil && n.mayValidate(e) && n.found.verdict.Validate &&
		n.x.req.Class == rules.ClassRead && !n.x.req.Range && !n.x.req.Directives.NoStore
}

// mayValidate reports whether the handler is asked whether e is still good, if it can tell.
func (n *run) mayValidate(e *store.Entry) bool {
	return len(e.Tags) <= maxRenewedTags && n.x.c.contrary.find(n.x.req.Key, time.Now()) == ""
}
