package middleware

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/wire"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
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
	targets []atomic.Pointer[Target]
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

// FieldWriter is the writer that package front gives to [Target.Answer]: it can send fields that were
// written before.
type FieldWriter interface {
	http.ResponseWriter
	// WriteFields is WriteHeader, of a header with an Age, a Cache-Status and the fields before,
	// between and behind those two, as HTTP/1.1 has them. Where it cannot, it returns false and does
	// nothing.
	WriteFields(status int, fields *[3][]byte, age, cacheStatus string) bool
}

// sentFields are the fields of a hit of one entry, without those that are another hit's each time: Age
// and Cache-Status.
type sentFields struct {
	entry  weak.Pointer[store.Entry] // which the store may let go
	p      *policy.Policy
	fields [3][]byte // by their names: before Age, before Cache-Status, and behind
}

// The responses whose fields are kept.
const (
	sentWhole = iota // the stored one
	sent304          // a 304 in its place
)

// sendsAgain sends the header of a hit of e by what the last one sent, if that was a hit of e as well.
func (x *exchange) sendsAgain(which int, e *store.Entry, status int, age time.Duration, out *policy.Outcome) bool {
	if x.target == nil || e == nil || !usual(out) || age < 0 {
		return false
	}
	w, ok := x.w.(FieldWriter)
	if !ok {
		return false
	}
	sent := x.target.sent[which].Load()
	if sent == nil || sent.p != x.p || sent.entry.Value() != e ||
		!w.WriteFields(status, &sent.fields, x.c.ageField(age)[0], x.c.statusField(out)[0]) {
		return false
	}
	x.tally.status = status
	return true
}

// usual reports whether an outcome is a fresh hit about which there is nothing more to say: all of one
// entry have the same fields.
func usual(out *policy.Outcome) bool { return out.Hit && !out.Stale && out.Detail == "" && out.TTL > 0 }

// keepSent keeps the fields of the header, of a hit of e, for the next one, where all hits of e have
// them.
func (x *exchange) keepSent(which int, e *store.Entry, status int, out *policy.Outcome) {
	if x.target == nil || e == nil || !usual(out) {
		return
	}
	o, h := &x.c.options, x.w.Header()
	if o.OnHeader != nil || o.ClientsRevalidate || e.Announced && (x.p.ClientTTL > 0 || x.p.CDNTTL > 0) ||
		setsCookie(h) || len(h["Cache-Status"]) != 1 || len(h["Date"]) != 1 || len(h["Age"]) != 1 ||
		!wire.Bodiless(status) && len(h["Content-Length"]) != 1 {
		return
	}
	if last := x.target.sent[which].Load(); last != nil && last.entry.Value() != nil &&
		x.target.other.Add(1)%16 != 0 {
		return // variants may come in turns
	}
	own := maps.Clone(h)
	Leaves(own)
	var parts [3]http.Header
	for name, values := range own {
		at := 0
		switch {
		case name == "Age" || name == "Cache-Status":
			continue
		case name > "Cache-Status":
			at = 2
		case name > "Age":
			at = 1
		}
		if parts[at] == nil {
			parts[at] = http.Header{}
		}
		parts[at][name] = values
	}
	sent := &sentFields{entry: weak.Make(e), p: x.p}
	var w wire.Header
	for i := range parts {
		sent.fields[i] = bytes.Clone(w.Append(nil, parts[i], status))
	}
	x.target.sent[which].Store(sent)
}

// defaultTargets is how many targets a Hits knows where it is not told, at some 500 bytes each.
const defaultTargets = 1 << 14

// maxTarget is the longest host and target that are known, together, in bytes.
const maxTarget = 1 << 10

// Hits returns what answers hits in the place of app, which must be what [Cache.Root] returned. skip
// names functions of the app, as the log names them, that hits may leave out although they stand
// between Root and a mount; one that ends in "*" names all that begin so. targets is how many
// targets are known at once; 0: 16,384. They take some 500 bytes each.
func (c *Cache) Hits(app http.Handler, skip []string, targets int) (*Hits, error) {
	root := c.root.Load()
	if root == nil || app != http.Handler(root) {
		return nil, errors.New("freshet: the server's Handler is not the cache's root, so what stands " +
			"around it would be left out: set Server.Handler to what Cache.Root returns")
	}
	if targets < 0 {
		return nil, fmt.Errorf("freshet: %d targets: allowed is how many to know at once, or 0 for %d",
			targets, defaultTargets)
	}
	if targets == 0 {
		targets = defaultTargets
	}
	h := &Hits{c: c, skip: slices.Clone(skip), seed: maphash.MakeSeed(),
		targets: make([]atomic.Pointer[Target], targets)}
	if !c.hits.CompareAndSwap(nil, h) {
		if h = c.hits.Load(); !slices.Equal(h.skip, skip) {
			return nil, errors.New("freshet: the cache has a front with other functions to skip: serve all " +
				"its servers by one front.Front, or by equal ones")
		}
	}
	return h, nil
}

// HitsOf is Hits for a program whose own handlers change requests on their way to mount, which is what
// [Cache.Handler] returned: it brings each request to [Target.Answer] as the mount would get it. Its
// targets are known once they were asked for twice. Functions of the app must not hold on to requests.
func (c *Cache) HitsOf(mount http.Handler, targets int) (*Hits, error) {
	m, ok := mount.(*Mount)
	if !ok || m.c != c {
		return nil, fmt.Errorf("freshet: %T is no mount of the cache: give what Cache.Handler returned", mount)
	}
	if targets < 0 {
		return nil, fmt.Errorf("freshet: %d targets: allowed is how many to know at once, or 0 for %d",
			targets, defaultTargets)
	}
	if targets == 0 {
		targets = defaultTargets
	}
	return &Hits{c: c, mount: m, seed: maphash.MakeSeed(), targets: make([]atomic.Pointer[Target], targets),
		asked: make([]atomic.Uint64, targets)}, nil
}

// LearnAtOnce has a target known from the first request for it on, before there is a hit: for tests of
// what the second request gets. Call it before the app is served.
func (h *Hits) LearnAtOnce() { h.atOnce = true }

// sum returns a hash of a target.
func (h *Hits) sum(method string, host, target []byte) uint64 {
	return maphash.Bytes(h.seed, target) ^ maphash.Bytes(h.seed, host)<<1 ^ uint64(len(method))
}

// slot returns the slot of a target with a hash.
func (h *Hits) slot(sum uint64) *atomic.Pointer[Target] {
	return &h.targets[sum%uint64(len(h.targets))]
}

// Find returns what is known of a target, or nil. It holds on to neither slice.
func (h *Hits) Find(method string, host, target []byte) *Target {
	sum := h.sum(method, host, target)
	t := h.slot(sum).Load()
	if t == nil || t.RequestURI != string(target) || t.Host != string(host) || t.Method != method {
		if h.mount == nil {
			return nil
		}
		if t = h.make(sum, t, method, host, target); t == nil {
			return nil
		}
	}
	if !t.asked.Load() {
		t.asked.Store(true)
	}
	if n := t.missed.Load(); n >= mostMissed && t.missed.Add(1)%tryAgain != 0 {
		return nil
	}
	return t
}

// A target that has had so many requests in a row that were no hits is looked for with one in so many.
const (
	mostMissed = 8
	tryAgain   = 32
)

// make makes a target of the one mount, where it was the last that was asked for in its slot.
func (h *Hits) make(sum uint64, known *Target, method string, host, target []byte) *Target {
	if asked := &h.asked[sum%uint64(len(h.asked))]; asked.Load() != sum || len(host)+len(target) > maxTarget {
		asked.Store(sum)
		return nil
	}
	if known != nil && known.asked.Swap(false) {
		return nil // which goes the next time
	}
	t := &Target{Method: method, Host: string(host), RequestURI: string(target), mount: h.mount}
	var err error
	if t.URL, err = url.ParseRequestURI(t.RequestURI); err != nil {
		return nil
	}
	h.slot(sum).Store(t)
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
	l := lookup{x: exchange{c: c, w: w, r: rules.WithoutIgnoredCookies(as, p), p: p, who: m.who,
		target: t}}
	x := &l.x
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
	renews := false
	switch does {
	case hit:
		renews = l.refreshesEarly(now)
	case serveStale:
		renews = l.renewsBehind()
	case throttled:
	default:
		return false
	}
	if renews {
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

// learn notes that a request for the target has come to the mount, and that a stored response
// answers it, so that the next one need not come through the app.
func (l *lookup) learn(h *Hits) {
	x := &l.x
	r := x.r
	if r.Method != http.MethodGet && r.Method != http.MethodHead ||
		len(r.Host)+len(r.RequestURI) > maxTarget || x.account != nil || !x.straight() {
		return
	}
	slot := h.slot(h.sum(r.Method, []byte(r.Host), []byte(r.RequestURI)))
	if known := slot.Load(); known != nil {
		same := known.RequestURI == r.RequestURI && known.Host == r.Host && known.Method == r.Method
		if same && known.mount == x.mount || !same && known.asked.Swap(false) {
			return // another one, which is asked for, goes the next time
		}
	}
	if x.mount.looks(x.p) && x.c.root.Load().next != http.Handler(x.mount) {
		h.tell("functions of the app that the cache asks about each request (Options.Policy, "+
			"Options.Route or a policy's Scope, Credentials or Key.Replace) may want to know what "+
			"routers have found out: mount the cache around the whole app, with Cache.Handler, or "+
			"give the route a policy without them", r)
		return
	}
	if between := x.between(h.skip); between != "" {
		h.tellOf(between, r)
		return
	}
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || *u != *r.URL {
		return
	}
	t := &Target{Method: r.Method, Host: strings.Clone(r.Host), RequestURI: strings.Clone(r.RequestURI),
		Pattern: strings.Clone(r.Pattern), mount: x.mount,
		Shown: x.c.options.Observe != nil || x.mount.looks(x.p)}
	if u, err = url.ParseRequestURI(t.RequestURI); err != nil {
		return
	}
	t.URL, t.Values = u, wildcards(r)
	slot.Store(t)
}

// looks reports whether functions of the app look at a request to find out by which policy and under
// which key it is answered.
func (m *Mount) looks(p *policy.Policy) bool {
	return m.p == nil && m.c.options.Policy != nil || m.c.options.Route != nil || p.Scope != nil ||
		p.Credentials != nil || p.Key.Replace != nil
}

// straight reports whether the request is the very one that came to the app's root, and its response
// leaves as the cache sends it.
func (x *exchange) straight() bool {
	a, r := x.arrival, x.r
	if a == nil || !x.came || x.taken || a.target != r.RequestURI || a.host != r.Host ||
		a.remote != r.RemoteAddr || mapOf(a.header) != mapOf(r.Header) || x.around != nil ||
		x.passing != nil || x.veiled || len(x.w.Header()) > 0 {
		return false
	}
	w, guards := x.w.(*guarded)
	root := x.c.root.Load()
	return guards && !w.gate.inner && bare(w.ResponseWriter) && root != nil &&
		x.c.rootOf(r) == http.Handler(root)
}

// between returns the name of the app's own function that stands between the root and the mount, and
// is not to be skipped, or nothing. Routers that look at the method, the host and the path alone
// choose the same handler each time.
func (x *exchange) between(skip []string) string {
	var calls [64]uintptr
	frames := runtime.CallersFrames(calls[:runtime.Callers(2, calls[:])])
	for {
		frame, more := frames.Next()
		name := frame.Function
		if name == guardServes {
			return ""
		}
		if !ofCache(name) && !routes(name) && !skips(skip, name) {
			return name
		}
		if !more {
			return "another goroutine"
		}
	}
}

const (
	ownPackage  = "github.com/freshet-go/freshet/middleware."
	guardServes = ownPackage + "(*guard).ServeHTTP"
)

// ofCache reports whether a function is the cache's own.
func ofCache(name string) bool { return strings.HasPrefix(name, ownPackage) }

// routes reports whether a function is a router's that chooses by the method, the host and the path,
// or nothing but a way of calling a handler.
func routes(name string) bool {
	switch name {
	case "net/http.(*ServeMux).ServeHTTP", "net/http.HandlerFunc.ServeHTTP":
		return true
	}
	return strings.HasPrefix(name, "github.com/go-chi/chi/v5.")
}

func skips(skip []string, name string) bool {
	for _, s := range skip {
		if begins, all := strings.CutSuffix(s, "*"); s == name || all && strings.HasPrefix(name, begins) {
			return true
		}
	}
	return false
}

// wildcards returns the path wildcards of the pattern that a ServeMux has chosen, and their values.
func wildcards(r *http.Request) (all []string) {
	rest := r.Pattern
	for {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return all
		}
		name, next, _ := strings.Cut(after, "}")
		if name = strings.TrimSuffix(name, "..."); name != "" && name != "$" {
			all = append(all, name, strings.Clone(r.PathValue(name)))
		}
		rest = next
	}
}

// maxTold is how many functions the log names.
const maxTold = 8

// tellOf logs, once for each, that a function of the app keeps pages from being answered in front of
// it.
func (h *Hits) tellOf(function string, r *http.Request) {
	h.tell(fmt.Sprintf("%s stands between Cache.Root and the mount, and would not run. Mount the cache "+
		"around it; or, if hits may do without it, name it in front.Front.Skip", function), r)
}

func (h *Hits) tell(why string, r *http.Request) {
	if _, said := h.told.LoadOrStore(why, true); said || h.said.Add(1) > maxTold {
		return
	}
	h.c.options.Log.Info("freshet: front: pages are left to net/http: "+why, "path", r.URL.Path)
}

// Leaves looks at the header of a hit as the app's root would, when all is in it.
func Leaves(h http.Header) {
	if setsCookie(h) {
		rules.KeepFromOthers(h)
	}
	if lines := h["Vary"]; len(lines) > 1 {
		h["Vary"] = oneLine(lines)
	}
}
