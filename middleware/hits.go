package middleware

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/internal/rules"
)

// Hits answers requests from the store without the app: for package front, which does so before
// net/http sees a request. It knows the targets that have been answered with a stored response when
// they came through the app, at which mount that was, and that nothing of the app's stood between
// [Cache.Root] and the mount but routers that look at the method, the host and the path. It is safe
// for concurrent use.
type Hits struct {
	c       *Cache
	skip    []string
	seed    maphash.Seed
	targets atomic.Pointer[[]atomic.Pointer[Target]] // grows up to most: see room
	most    int
	growing sync.Mutex
	held    atomic.Int64    // about how many slots have a target
	mount   *Mount          // of all targets; nil: each has its own
	asked   []atomic.Uint64 // for which target of a slot there was none, where mount is not nil
	atOnce  bool            // see LearnAtOnce

	said atomic.Int32
	told sync.Map // functions that the log has named
}

// Target is what is known of one method, host and request target. It is never modified.
type Target struct {
	Method, Host, RequestURI string // as sent
	URL                      *url.URL
	Pattern                  string   // of the http.Request, when it came to the mount
	Values                   []string // names of path wildcards and their values, in turns
	// functions of the app get to see requests that are answered, and may hold on to them
	Shown bool

	mount *Mount
	place place
	asked atomic.Bool // since another target wanted its slot
	sent  [2]atomic.Pointer[sentFields]
	other atomic.Uint32 // how many responses had other fields than those of sent

	missed atomic.Uint32 // how many requests in a row were no hits
}

// defaultTargets is how many targets a Hits knows where it is not told, at some 500 bytes each.
const defaultTargets = 1 << 15

// fewTargets are how many slots there are at first.
const fewTargets = 1 << 9

// maxTarget is the longest host and target that are known, together, in bytes.
const maxTarget = 1 << 10

// Hits returns what answers hits in the place of app, which must be what [Cache.Root] returned.
// skip names functions of the app, as the log names them, that hits may leave out although they
// stand between Root and a mount; one that ends in "*" names all that begin so. targets is how many
// targets are known at once; 0: 32,768. They take some 500 bytes each, and up to 3 KiB.
func (c *Cache) Hits(app http.Handler, skip []string, targets int) (*Hits, error) {
	root := c.root.Load()
	if root == nil || app != http.Handler(root) {
		return nil, errors.New("freshet: the server's Handler is not the cache's root, so what stands " +
			"around it would be left out: set Server.Handler to what Cache.Root returns")
	}
	h, err := c.newHits(targets)
	if err != nil {
		return nil, err
	}
	if h.skip = slices.Clone(skip); !c.hits.CompareAndSwap(nil, h) {
		if h = c.hits.Load(); !slices.Equal(h.skip, skip) {
			return nil, errors.New("freshet: the cache has a front with other functions to skip: serve all " +
				"its servers by one front.Front, or by equal ones")
		}
	}
	return h, nil
}

// HitsOf is Hits for a program whose own handlers change requests on their way to mount, which is
// what [Cache.Handler] returned: it brings each request to [Target.Answer] as the mount would get
// it. Its targets are known once they were asked for twice. Functions of the app must not hold on
// to requests.
func (c *Cache) HitsOf(mount http.Handler, targets int) (*Hits, error) {
	m, ok := mount.(*Mount)
	if !ok || m.c != c {
		return nil, fmt.Errorf("freshet: %T is no mount of the cache: give what Cache.Handler returned", mount)
	}
	h, err := c.newHits(targets)
	if err != nil {
		return nil, err
	}
	h.mount, h.asked = m, make([]atomic.Uint64, h.most)
	return h, nil
}

func (c *Cache) newHits(targets int) (*Hits, error) {
	if targets < 0 {
		return nil, fmt.Errorf("freshet: %d targets: allowed is how many to know at once, or 0 for %d",
			targets, defaultTargets)
	}
	if targets == 0 {
		targets = defaultTargets
	}
	h := &Hits{c: c, seed: maphash.MakeSeed(), most: targets}
	h.targets.Store(new(make([]atomic.Pointer[Target], min(targets, fewTargets))))
	return h, nil
}

// LearnAtOnce has a target known from the first request for it on, before there is a hit: for tests
// of what the second request gets. Call it before the app is served.
func (h *Hits) LearnAtOnce() { h.atOnce = true }

// sum returns a hash of a target.
func (h *Hits) sum(method string, host, target []byte) uint64 {
	return maphash.Bytes(h.seed, target) ^ maphash.Bytes(h.seed, host)<<1 ^ uint64(len(method))
}

// slots returns the two slots in one of which a target with a hash may be.
func (h *Hits) slots(sum uint64) [2]*atomic.Pointer[Target] {
	return slotsOf(*h.targets.Load(), sum)
}

func slotsOf(targets []atomic.Pointer[Target], sum uint64) [2]*atomic.Pointer[Target] {
	n := uint64(len(targets))
	return [2]*atomic.Pointer[Target]{&targets[sum%n], &targets[bits.RotateLeft64(sum, 32)%n]}
}

// known returns the target, and its slot, or nil.
func (h *Hits) known(
	sum uint64, method string, host, target []byte,
) (*Target, *atomic.Pointer[Target]) {
	for _, slot := range h.slots(sum) {
		if t := slot.Load(); t != nil && t.RequestURI == string(target) && t.Host == string(host) &&
			t.Method == method {
			return t, slot
		}
	}
	return nil, nil
}

// room returns the slot that a new target with a hash takes: one that is empty, or whose target has
// not been asked for since another one wanted it. Nil: there is none, until one is wanted again.
// The garbage collector looks at each slot, so there are few until a quarter of them is taken.
func (h *Hits) room(sum uint64) *atomic.Pointer[Target] {
	slots := h.slots(sum)
	for {
		for _, slot := range slots {
			if slot.Load() == nil {
				return slot
			}
		}
		if h.held.Load()*4 < int64(len(*h.targets.Load())) || !h.grow() {
			break
		}
		slots = h.slots(sum)
	}
	for _, slot := range slots {
		if t := slot.Load(); t != nil && !t.asked.Swap(false) {
			return slot
		}
	}
	return nil
}

// enter puts a target into a slot that room has returned.
func (h *Hits) enter(slot *atomic.Pointer[Target], t *Target) {
	if slot.Swap(t) == nil {
		h.held.Add(1)
	}
}

// grow doubles the number of slots, up to the most. A target that is learned meanwhile may be lost:
// its next hit is learned anew.
func (h *Hits) grow() bool {
	now := *h.targets.Load()
	if len(now) >= h.most {
		return false
	}
	h.growing.Lock()
	defer h.growing.Unlock()
	if now = *h.targets.Load(); len(now) >= h.most {
		return false
	}
	more := make([]atomic.Pointer[Target], min(2*len(now), h.most))
	for i := range now {
		t := now[i].Load()
		if t == nil {
			continue
		}
		for _, slot := range slotsOf(more, h.sum(t.Method, []byte(t.Host), []byte(t.RequestURI))) {
			if slot.Load() == nil {
				slot.Store(t)
				break
			}
		}
	}
	h.targets.Store(&more)
	return true
}

// Find returns what is known of a target, or nil. It holds on to neither slice.
func (h *Hits) Find(method string, host, target []byte) *Target {
	sum := h.sum(method, host, target)
	t, _ := h.known(sum, method, host, target)
	if t == nil {
		if h.mount == nil {
			return nil
		}
		return h.make(sum, method, host, target) // not asked for yet: it goes for any other
	}
	if !t.asked.Load() {
		t.asked.Store(true)
	}
	if n := t.missed.Load(); n >= mostMissed && t.missed.Add(1)%tryAgain != 0 {
		return nil
	}
	return t
}

// A target that has had so many requests in a row that were no hits is looked for with one in so
// many.
const (
	mostMissed = 8
	tryAgain   = 32
)

// make makes a target of the one mount, where it was the last that was asked for in its slot.
func (h *Hits) make(sum uint64, method string, host, target []byte) *Target {
	asked := &h.asked[sum%uint64(len(h.asked))]
	if asked.Load() != sum || len(host)+len(target) > maxTarget {
		asked.Store(sum)
		return nil
	}
	slot := h.room(sum)
	if slot == nil {
		return nil
	}
	t := &Target{Method: method, Host: string(host), RequestURI: string(target), mount: h.mount}
	var err error
	if t.URL, err = url.ParseRequestURI(t.RequestURI); err != nil {
		return nil
	}
	h.enter(slot, t)
	return t
}

// Answer answers r, which is a request for the target without content, with a stored response: a
// fresh one, or a stale one that is renewed behind. Where there is none it returns false, and has
// done nothing. w must have an empty header and the method SetWriteDeadline. Answer holds on to
// neither when it has returned; functions of the app may hold on to r.
func (t *Target) Answer(w http.ResponseWriter, r *http.Request) bool {
	if t.answer(w, r) {
		if t.missed.Load() > 0 {
			t.missed.Store(0)
		}
		return true
	}
	if t.missed.Load() < mostMissed {
		t.missed.Add(1)
	}
	return false
}

func (t *Target) answer(w http.ResponseWriter, r *http.Request) bool {
	m, c := t.mount, t.mount.c
	c.mounts.once.Do(c.mounts.freeze)
	if explaining.Load() != 0 || len(r.Header[debugField]) > 0 {
		return false
	}
	p := m.p
	if p == nil {
		p = c.policyFor(r)
	}
	as, wrote := c.takeWrite(r)
	if wrote != nil {
		return false
	}
	var l lookup // set field by field: a literal would be made beside it and copied
	x := &l.x
	x.c, x.w, x.r, x.p, x.who, x.target = c, w, rules.WithoutIgnoredCookies(as, p), p, m.who, t
	x.beginTally()
	if plan, _, told := x.read(); plan != rules.PlanLookup || !told {
		return false
	}
	return l.answer()
}

// answer answers with what is in this process, if that is a hit.
func (l *lookup) answer() bool {
	now := l.x.tally.arrived()
	l.found = l.x.find(now)
	e := l.found.entry
	if e == nil || e.Trailer != nil || l.found.elsewhere {
		return false
	}
	does := l.decide(now)
	if does != hit && does != serveStale && does != throttled {
		return false
	}
	if l.renews(does, now) {
		l.x.own()
		l.startRefresh()
	}
	h, ok := l.x.hold(e, now)
	if !ok {
		l.x.stall = nil
		return false
	}
	defer l.x.letGo(h)
	l.x.deliver(e, l.outcome(does), now)
	return true
}

// own gives the exchange a request of its own, which others may hold on to, and has it be the one
// that arrived.
func (x *exchange) own() {
	r := x.r.Clone(x.r.Context())
	a := arrivalOf(r)
	x.r, x.arrival, x.came = r, &a, true
}
