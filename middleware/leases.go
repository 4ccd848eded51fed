package middleware

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Processes that share a store agree on one run of a handler by a lease of the store. Who holds it
// runs the handler; the others wait for what it stores. One that begins to wait says so in the
// journal, by a notice, and the holder answers there when its run has ended, so that what is waited
// for is found at once. Where the notices are lost, or the holder, those who wait find out by trying
// to take the lease.

const (
	defaultLease = 100 * time.Millisecond
	// shortestLease bounds what a hiccup of a holder costs: a second run.
	shortestLease = time.Second

	// how often who waits tries to take the lease
	firstTry, lastTry = 25 * time.Millisecond, 250 * time.Millisecond

	// A process sends so many notices at once, and one more each noticeEvery.
	maxNotices  = 20
	noticeEvery = time.Second

	// streamsFor is how long a run that streams keeps its lease from then on: the others would get the
	// first byte when it has ended.
	streamsFor = time.Second
)

// The first byte of a notice says what it is about; the name of the run follows.
const (
	noticeWaits  = "?" // a process waits for the run
	noticeStored = "+" // it has ended: the response is in the store, or somebody else may run it
	noticeEnded  = "-" // it has ended, and there is nothing that others may have
)

// leases are those that this process holds, and those that it waits for.
type leases struct {
	c      *Cache
	locker store.Locker // nil: none
	lacks  atomic.Bool  // the store has said that it has none

	holds    atomic.Int64 // how many there are in held
	checking atomic.Bool  // a check of those will begin

	mu    sync.Mutex
	held  map[string]*lease
	waits map[string]*waiting

	notices  float64   // that may be sent now
	noticeAt time.Time // when that was so
}

func (ls *leases) init(c *Cache) {
	ls.c = c
	if c.local || c.options.ReadOnly {
		return
	}
	ls.locker, _ = store.As[store.Locker](c.store)
	ls.held, ls.waits = map[string]*lease{}, map[string]*waiting{}
	ls.notices = maxNotices
}

// waiting is what those have in common who wait for one run.
type waiting struct {
	requests int
	word     string        // of the newest notice
	came     chan struct{} // closed when that has come
}

// lease is one that this process holds.
type lease struct {
	ls     *leases
	name   string
	store  store.Lease
	once   sync.Once
	waited atomic.Bool // by another process
	fill   atomic.Pointer[fill.Fill]
}

// useless reports whether nobody will get what the run makes any more.
func (l *lease) useless() bool {
	f := l.fill.Load()
	return f != nil && (f.GivenUp() != "" || l.ls.c.outdated(f))
}

// letGo gives the lease of that name back, if this process has it for a run that is of no use.
func (ls *leases) letGo(name string) {
	ls.mu.Lock()
	l := ls.held[name]
	ls.mu.Unlock()
	if l != nil && l.useless() {
		l.end(true)
	}
}

// marked has the leases looked at that are held, since an invalidation may have come for them.
func (ls *leases) marked() {
	if ls.holds.Load() == 0 || ls.checking.Load() || !ls.c.start() {
		return
	}
	if ls.checking.Swap(true) {
		ls.c.background.Done()
		return
	}
	go func() {
		defer ls.c.background.Done()
		ls.checking.Store(false)
		ls.mu.Lock()
		held := slices.Collect(maps.Values(ls.held))
		ls.mu.Unlock()
		for _, l := range held {
			if l.useless() {
				l.end(true)
			}
		}
	}()
}

// notify sends a notice, unless this process has sent many.
func (ls *leases) notify(word string) {
	now := time.Now()
	ls.mu.Lock()
	ls.notices = min(maxNotices, ls.notices+float64(now.Sub(ls.noticeAt))/float64(noticeEvery))
	ls.noticeAt = now
	sends := ls.notices >= 1
	if sends {
		ls.notices--
	}
	ls.mu.Unlock()
	if sends {
		ls.c.journal.Notify(word) // or else they find out a little later
	}
}

// leaseName is the name of the run for what has the key: it shows nothing of that, and is the same in
// all processes.
func leaseName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// notice hears what other processes say.
func (ls *leases) notice(word string) {
	if len(word) < 2 || ls.locker == nil {
		return
	}
	name := word[1:]
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if word[:1] == noticeWaits {
		if l := ls.held[name]; l != nil {
			l.waited.Store(true)
		}
		return
	}
	if w := ls.waits[name]; w != nil {
		w.word = word[:1]
		close(w.came)
		delete(ls.waits, name) // who waits on is one of the next
	}
}

// take takes the lease for ttl. It returns no error where somebody else has it.
func (ls *leases) take(name string, ttl time.Duration) (l *lease, err error) {
	ctx, cancel := ls.c.storeContext(context.Background())
	defer cancel()
	held, ok, err := func() (held store.Lease, ok bool, err error) {
		defer caught(&err)
		return ls.locker.TryLock(ctx, "run-"+name, ttl)
	}()
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		ls.lacks.Store(true)
		return nil, err
	case err != nil:
		ls.c.fault("store: lock", err)
		return nil, err
	case !ok:
		return nil, nil
	}
	l = &lease{ls: ls, name: name, store: held}
	ls.mu.Lock()
	ls.held[name] = l
	ls.holds.Store(int64(len(ls.held)))
	ls.mu.Unlock()
	return l, nil
}

// end gives the lease back, in the background, and tells those who wait whether the response is in
// the store. Only the first call counts.
func (l *lease) end(stored bool) {
	if l == nil {
		return
	}
	l.once.Do(func() {
		c := l.ls.c
		if !c.start() { // Shutdown does not wait for what begins now
			l.release(stored)
			return
		}
		go func() {
			defer c.background.Done()
			l.release(stored)
		}()
	})
}

func (l *lease) release(stored bool) {
	ls := l.ls
	ctx, cancel := ls.c.storeContext(context.Background())
	defer cancel()
	func() {
		var err error
		defer caught(&err)
		_, err = l.store.Unlock(ctx) // or it ends by itself
	}()
	ls.mu.Lock()
	if ls.held[l.name] == l {
		delete(ls.held, l.name)
		ls.holds.Store(int64(len(ls.held)))
	}
	ls.mu.Unlock()
	if !l.waited.Load() {
		return
	}
	word := noticeEnded
	if stored {
		word = noticeStored
	}
	ls.notify(word + l.name)
}

// join notes that a request waits for a notice about a run, and reports whether it is the first of
// this process; leave notes that it waits no more.
func (ls *leases) join(name string) (w *waiting, first bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if w = ls.waits[name]; w == nil {
		w, first = &waiting{came: make(chan struct{})}, true
		ls.waits[name] = w
	}
	w.requests++
	return w, first
}

func (ls *leases) leave(name string, w *waiting) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if w.requests--; w.requests == 0 && ls.waits[name] == w {
		delete(ls.waits, name)
	}
}

// terms are on which a request's run is made for all processes.
type terms struct {
	name      string
	ttl, wait time.Duration
}

// terms returns the terms for the run of what was found, or false where each process makes its own:
// where there is no other process, the handler is quick or takes longer than a request may wait, the
// client insists, the policy says so, or the store does not work.
func (x *exchange) terms(f *found) (t terms, agrees bool) {
	ls := &x.c.leases
	if ls.locker == nil || ls.lacks.Load() || f.broken != "" || x.p.Lease < 0 {
		return t, false
	}
	if !x.c.journal.Shared() { // no process uses what another has stored, and so none waits for it
		return t, false
	}
	if d := &x.req.Directives; d.NoCache || d.MaxAge >= 0 || d.MinFresh > 0 {
		return t, false
	}
	took, known := x.who.took.expected(x.r.URL.Path)
	least := x.p.Lease
	if least == 0 {
		least = defaultLease
	}
	most := x.longestWait()
	if known && (took < least || took >= most) {
		return t, false
	}
	t.wait, t.ttl = most, most*3/4 // so that who waits for one that died has time for a run
	if known {
		t.ttl = min(max(3*took, shortestLease), most)
	}
	t.ttl = max(t.ttl, time.Millisecond)
	t.name = leaseName(f.flight)
	return t, true
}

// longestWait is how long a request waits for another process at most.
func (x *exchange) longestWait() time.Duration {
	if x.p.MaxWait > 0 {
		return x.p.MaxWait
	}
	return rules.DefaultMaxWait
}

// turn is what became of a wish to run a handler for all processes.
type turn uint8

const (
	turnMine   turn = iota // with the lease, or without one because the store has none to give
	turnServed             // another process has stored the response
	turnEnded              // another process's run has ended with nothing that others may have
	turnLate               // another process's run goes on, and the time to wait for it is over
)

// agree takes the lease, or waits for what another process makes of its run: until served returns
// true, which asks the store whether the response is there. waited reports whether there was another
// process.
func (ls *leases) agree(t terms, served func() bool) (l *lease, what turn, waited bool) {
	if l, what, ok := ls.try(t, served); ok {
		return l, what, false
	}
	late := time.NewTimer(t.wait)
	defer late.Stop()
	w, first := ls.join(t.name)
	defer func() { ls.leave(t.name, w) }()
	if first {
		ls.notify(noticeWaits + t.name)
	}
	for pause := firstTry; ; pause = min(2*pause, lastTry) {
		ls.letGo(t.name)
		switch what := ls.await(&w, t.name, pause, late.C); what {
		case turnEnded, turnLate:
			return nil, what, true
		}
		if served() {
			return nil, turnServed, true
		}
		if l, what, ok := ls.try(t, served); ok {
			if l != nil {
				l.waited.Store(true) // by others, as by this one
			}
			return l, what, true
		}
	}
}

// try takes the lease. ok is false where another process has it.
func (ls *leases) try(t terms, served func() bool) (l *lease, what turn, ok bool) {
	l, err := ls.take(t.name, t.ttl)
	switch {
	case err != nil:
		return nil, turnMine, true
	case l == nil:
		return nil, 0, false
	case served():
		l.end(true)
		return nil, turnServed, true
	}
	return l, turnMine, true
}

// await waits for a notice about a run, for as long as the pause: it returns turnServed where it is
// worth looking whether the run has ended.
func (ls *leases) await(
	w **waiting, name string, pause time.Duration, late <-chan time.Time,
) turn {
	try := time.NewTimer(pause)
	defer try.Stop()
	select {
	case <-(*w).came:
		if (*w).word == noticeEnded {
			return turnEnded
		}
		ls.leave(name, *w)
		*w, _ = ls.join(name) // of the next notice
	case <-late:
		return turnLate
	case <-ls.c.stop.Done():
		return turnLate
	case <-try.C:
	}
	return turnServed
}

// agreed is what became of a run that one process makes for all.
type agreed struct {
	lease *lease       // this process runs the handler, by the lease
	entry *store.Entry // another process has stored the response: the fill is settled with it
	again bool         // the request, and those that read along, look again
	late  bool         // the time to wait for another process is over
}

// agree has the run of f be made by one process of those that share the store. Requests look again
// where invalidations came while this one waited, for f began before them, where the response turns
// out to have variants, which are runs of their own, and where the store has failed.
func (l *lookup) agree(f *fill.Fill) (a agreed) {
	x := &l.x
	if l.found.forwarded() == policy.FwdRequest || l.disagrees {
		return a // the client wants another one than what is stored; or it has waited before
	}
	terms, agrees := x.terms(&l.found)
	if !agrees {
		return a
	}
	if terms.wait = l.patienceLeft(); terms.wait <= 0 {
		return a
	}
	flight, moved := l.found.flight, false
	var waited bool
	var what turn
	a.lease, what, waited = x.c.leases.agree(terms, func() bool {
		a.entry = l.lookInStore()
		moved = a.entry == nil && l.found.flight != flight
		return a.entry != nil || moved
	})
	a.late = what == turnLate
	switch {
	case a.entry != nil:
		f.Decide(fill.Answer{Stage: fill.StageSettled, Entry: a.entry})
		f.Retire()
	case moved, waited && x.c.outdated(f), l.found.sick && x.c.options.Strict:
		l.disagrees = !moved // once is enough to wait
		a.lease.end(true)
		f.Decide(fill.Answer{Stage: fill.StageFailed, Why: reasonWaited})
		a.again = true
	case a.lease != nil:
		a.lease.fill.Store(f)
	}
	return a
}

// patienceLeft returns how long the request may wait for others yet.
func (l *lookup) patienceLeft() time.Duration {
	began := l.waitsSince()
	return l.x.longestWait() - time.Since(began)
}

// lookInStore looks for what another process may have stored, and returns it if it answers the
// request.
func (l *lookup) lookInStore() *store.Entry {
	again := l.x.find(time.Now())
	if again.entry == nil || again.entry.Spans != nil || again.verdict.Use != rules.UseFresh {
		again.stored = l.found.stored
		l.found = again
		return nil
	}
	l.found = again
	return again.entry
}

// agree is the same for a refresh: it reports whether this process is to refresh. Where it is not,
// another one has, or will have, or could not.
func (t *refreshTicket) agree() bool {
	if t.terms.name == "" {
		return !t.near || !t.refreshed()
	}
	l, what, _ := t.c.leases.agree(t.terms, t.refreshed)
	if l != nil {
		l.fill.Store(t.fill)
		t.lease.Store(l)
	}
	if what == turnMine && t.fill.GivenUp() != "" { // its time was up meanwhile
		l.end(true)
		return false
	}
	return what == turnMine
}

// refreshed reports whether another process has stored the new response, or, where there was none,
// any that may do, or an index of those.
func (t *refreshTicket) refreshed() bool {
	if t.old == nil {
		e := t.c.ask(tier.SkipNear(t.c.stop), t.flight, new(found))
		if e == nil || e.Variants != nil {
			return e != nil
		}
		_, fresh := rules.FreshFor(e, time.Now())
		return fresh && t.c.journal.Covers(e) == 0
	}
	var f found
	e := t.c.ask(tier.SkipNear(t.c.stop), t.old.Key, &f)
	return e != nil && e.Received.After(t.old.Received) && t.c.journal.Covers(e) == 0
}
