package middleware

import (
	"container/list"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/policy"
)

// queuedPerRun is how many requests may wait for each place of a Policy.MaxRuns.
const queuedPerRun = 16

// runLimits count the runs of handlers whose policies bound them. Nothing but such a run comes
// here.
type runLimits struct {
	mu sync.Mutex
	m  map[boundOf]*runLimit // those with a run
}

// boundOf is what a bound is for: the requests of one mount that one policy governs.
type boundOf struct {
	who *identity
	p   *policy.Policy
}

// runLimit is one bound, with who has its places and who waits for one.
type runLimit struct {
	of        boundOf
	running   int       // places that are taken
	taken     time.Time // when the last one was
	refreshes int       // ... by refreshes
	queue     list.List // of *slot, in the order in which they came
}

// slot is a place for a run. A nil one is that of a run without a bound.
type slot struct {
	limits  *runLimits
	limit   *runLimit
	refresh bool
	granted chan struct{} // of one that waits: closed when it has the place
	freed   atomic.Bool
}

func (b *runLimits) init() { b.m = map[boundOf]*runLimit{} }

// take takes a place, or one in the queue: then it is not taken, and granted tells when it is. It
// returns nil when there is neither.
func (b *runLimits) take(at boundOf, refresh, queues bool) (s *slot, taken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.m[at]
	if l == nil {
		l = &runLimit{of: at}
		b.m[at] = l
	}
	s = &slot{limits: b, limit: l, refresh: refresh}
	switch most := at.p.MaxRuns; {
	case l.free(refresh):
		l.running++
		l.taken = time.Now()
		if refresh {
			l.refreshes++
		}
		return s, true
	case refresh || !queues || l.queue.Len() >= queuedPerRun*most:
		return nil, false
	}
	s.granted = make(chan struct{})
	l.queue.PushBack(s)
	return s, false
}

// room reports whether a refresh would get a place now.
func (b *runLimits) room(at boundOf) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.m[at]
	return l == nil || l.free(true)
}

// stuck reports whether all places are taken, and none has become free for so long.
func (b *runLimits) stuck(at boundOf, since time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.m[at]
	return l != nil && l.running >= at.p.MaxRuns && time.Since(l.taken) >= since
}

// count returns how many places are taken, and how many requests wait for one.
func (b *runLimits) count(at boundOf) (running, queued int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.m[at]; l != nil {
		return l.running, l.queue.Len()
	}
	return 0, 0
}

// free reports whether there is a place: for a refresh, of the half that refreshes may have.
func (l *runLimit) free(refresh bool) bool {
	most := l.of.p.MaxRuns
	return l.running < most && l.queue.Len() == 0 && !(refresh && l.refreshes >= (most+1)/2)
}

// free gives the place back, to the first who waits. Only the first call counts.
func (s *slot) free() {
	if s == nil || s.freed.Swap(true) {
		return
	}
	b, l := s.limits, s.limit
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.refresh {
		l.refreshes--
	}
	if first := l.queue.Front(); first != nil {
		l.taken = time.Now()
		close(l.queue.Remove(first).(*slot).granted) // it has the place of s
		return
	}
	if l.running--; l.running == 0 {
		delete(b.m, l.of)
	}
}

// leave takes one who waited out of the queue, or gives back the place that it has got meanwhile.
func (s *slot) leave() {
	b, l := s.limits, s.limit
	b.mu.Lock()
	for at := l.queue.Front(); at != nil; at = at.Next() {
		if at.Value.(*slot) == s {
			l.queue.Remove(at)
			b.mu.Unlock()
			return
		}
	}
	b.mu.Unlock()
	s.free()
}

// placed is what became of a wish for a place.
type placed uint8

const (
	placedIn   placed = iota // with a place, or without a bound
	placedOut                // there was none in time
	placedLeft               // the client has left meanwhile
)

// takeSlot takes a place for a run of the handler, and waits for it, for so long at most.
func (x *exchange) takeSlot(ctx context.Context, wait time.Duration) (*slot, placed) {
	at, refresh := boundOf{x.who, x.p}, yields(x)
	s, taken := x.c.runs.take(at, refresh, wait > 0)
	switch {
	case s == nil:
		return nil, placedOut
	case taken:
		return s, placedIn
	}
	began, late := time.Now(), time.NewTimer(wait)
	defer late.Stop()
	defer func() { x.tally.queued += time.Since(began) }()
	select {
	case <-s.granted:
		return s, placedIn
	case <-late.C:
		s.leave()
		return nil, placedOut
	case <-ctx.Done():
		s.leave()
		return nil, placedLeft
	}
}

// yields reports whether the run is for no client who waits.
func yields(x *exchange) bool {
	t, _ := x.r.Context().Value(ticketKey{}).(*refreshTicket)
	return t != nil && !t.behind
}

// findsNoPlace reports whether waiting is in vain for a request that may be served stale after
// SoftTimeout: for as long as that no place among MaxRuns has become free, for its own run or for
// another one.
func (l *lookup) findsNoPlace() bool {
	x := &l.x
	return x.p.SoftTimeout > 0 && x.p.MaxRuns > 0 &&
		x.c.runs.stuck(boundOf{x.who, x.p}, x.p.SoftTimeout) && l.mayServeSlow(time.Now())
}

// standInBusy answers with what is stale, without a wait for a place. The request asks no handler:
// a run behind that waits for a place is for later ones.
func (l *lookup) standInBusy(out policy.Outcome) bool {
	out.Hit, out.Fwd, out.TTL, out.HasTTL = true, policy.FwdNone, l.found.verdict.TTL, true
	return l.standIn(reasonBusy, out)
}

// takePlace takes a place for the run, and answers its client where there is none.
func (n *run) takePlace() (taken bool) {
	ctx, stop := n.whileWanted()
	s, got := n.x.takeSlot(ctx, n.patience)
	stop()
	switch got {
	case placedIn:
		n.slot = s
		n.f.WhenUnkept(n.freePlaces)
		return true
	case placedLeft:
		n.f.GiveUp(reasonWaited) // one of those who wait for it runs the handler in its place
		n.out.Detail = reasonLeft
		n.x.headerOfError(http.Header{}, &n.out)
		n.x.head(http.StatusGatewayTimeout)
	case placedOut:
		n.turnAway()
	}
	n.lease.end(true)
	n.finished = true
	return false
}

// whileWanted returns a context that ends when nobody waits for the run any more: a run behind has
// no client of its own, and leaves the queue with the last of those who read along.
func (n *run) whileWanted() (ctx context.Context, stop func()) {
	ctx = n.x.r.Context()
	if t := n.x.refresh; t == nil || !t.behind {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	n.f.WhenUnread(cancel)
	return ctx, func() {
		n.f.WhenUnread(nil)
		cancel()
	}
}

// placeWithin takes a place for the handler of a mount inside, which the run of a mount around
// answers, or sends a 503, which that one does not store.
func (x *exchange) placeWithin(outer *run) (s *slot, placed bool) {
	if x.p.MaxRuns <= 0 {
		return nil, true
	}
	s, got := x.takeSlot(x.r.Context(), x.longestWait())
	if got == placedIn {
		outer.within.Store(s)
		return s, true
	}
	outer.busy(x)
	x.writeErrorPage(x.w, http.StatusServiceUnavailable, reasonBusy)
	return nil, false
}

// busy has the response not be stored that x, a mount inside without a place, answers, or is a part
// of.
func (n *run) busy(x *exchange) {
	n.said.hush(reasonBusy)
	if !n.answers(x.w, x.r) {
		return
	}
	n.begun.mu.Lock()
	defer n.begun.mu.Unlock()
	if !n.begun.yes {
		n.wish = reasonBusy
	}
}

// turnAway answers the client of a run that has no place: with what is stale, where a lost handler
// allows it, or else with 503. Those who read along get the same, each as it may.
func (n *run) turnAway() {
	why := reasonBusy
	if yields(&n.x) {
		why = reasonWaited // they may have a place where a refresh has none
	}
	n.f.Decide(fill.Answer{Stage: fill.StageFailed, Why: why})
	n.out.Fwd, n.out.Detail = policy.FwdNone, reasonBusy
	if n.found.verdict.OnLost && n.mayStandIn() {
		n.out.Hit, n.out.TTL, n.out.HasTTL = true, n.found.verdict.TTL, true
		n.serveStale()
		n.finish()
		return
	}
	n.x.sendUnavailable(&n.out)
}

// freePlaces gives back the places of the run: its handler has returned, or goes on at the pace of
// its clients.
func (n *run) freePlaces() {
	n.slot.free()
	n.within.Load().free()
}
