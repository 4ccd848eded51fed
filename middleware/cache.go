// Package middleware caches the responses of HTTP handlers: it judges each request and each
// response by RFC 9111 and a [policy.Policy], runs a handler once however many clients ask, and
// keeps what may be kept in a store.
package middleware

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/internal/deadline"
	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/follower"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/internal/writetoken"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Cache caches the responses of the handlers it wraps. Make one with [New], mount it with
// [Cache.Handler], [Cache.With] or an adapter, and serve the app through [Cache.Root]. One Cache
// may wrap many handlers, which then share its store and its fills. It is safe for concurrent use.
type Cache struct {
	store   store.Store
	options Options // complete
	root    atomic.Pointer[guard]

	journal  *follower.Follower
	writes   *writetoken.Signer // of Options.ReadYourWrites; nil where that is off
	calls    deadline.Source    // of StoreTimeout
	policies policies           // those of the mounts
	expires  expires
	mounts   mounts
	webdav   collections // where a method of WebDAV's was answered with success
	targets  targets     // keys of what is asked for most
	fields   fields
	room     room
	near     tier.Near // the store's part in this process, or nil
	local    bool      // the store is in this process: no deadline, no flush before storing
	fills    fill.Group
	beside   besides
	runs     runLimits
	passes   passes
	contrary passes // see contradicted
	latest   latest
	forced   forcedRuns
	tries    tries
	earlies  earlies
	advice   advice
	leaves   leaveOut
	coming   coming
	faults   faults
	reads    reads
	hits     atomic.Pointer[Hits] // what answers in front of the app; nil: nothing does
	parts    parts
	indexing keyLocks // who changes a key's index of variants

	background sync.WaitGroup
	refreshing chan struct{} // a slot for each refresh that runs

	tagsIgnored atomic.Uint64 // see Stats.TagsIgnored
	stop        context.Context
	halt        context.CancelFunc
	closing     sync.Mutex // orders a refresh's start against Shutdown
	reclaim     reclaimer
	leases      leases
}

// New returns a Cache that keeps its entries in s. Where s or the options have a journal that other
// processes share, New asks it for what is new, for up to Options.StoreTimeout, and starts one
// goroutine that follows it; [Cache.Shutdown] ends that. New panics when s is nil or an option
// cannot work, with a sentence that says what to do.
func New(s store.Store, o Options) *Cache {
	if isNil(s) {
		panic("freshet: New: the store is nil: give it memstore.New(64 << 20), or another store")
	}
	c := &Cache{store: s, options: o.complete()}
	c.targets.seed = maphash.MakeSeed()
	c.refreshing = make(chan struct{}, max(c.options.MaxRefreshes, 0))
	c.stop, c.halt = context.WithCancel(context.Background())
	c.leaves.init(c.options.LeaveOut)
	c.writes = c.options.ReadYourWrites.signer()
	if l, ok := store.As[store.Local](s); ok {
		c.local = l.Local()
	}
	c.near, _ = store.As[tier.Near](s)
	c.room.init(s)
	c.fills.Init(c.options.MaxFillBytes, c.options.MaxReadBytes, c.hasBody)
	c.parts.init(&c.fills.Budget, c.options.MaxFillBytes)
	c.beside.init()
	c.runs.init()
	c.fields, c.passes, c.contrary, c.forced = newFields(), newPasses(), newPasses(),
		newForcedRuns()
	c.tries, c.earlies = newTries(), newEarlies()
	c.expires.start(c.options.Expires)
	c.latest.init()
	for _, warning := range c.options.Expires.Warnings() {
		c.options.Log.Warn("freshet: settings: " + warning)
	}
	c.leases.init(c)
	c.startJournal()
	return c
}

// isNil reports whether a store is none, or a nil pointer to one.
func isNil(s store.Store) bool {
	if s == nil {
		return true
	}
	v := reflect.ValueOf(s)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// Handler wraps next with the policies that Options.Policy chooses. It is the middleware of
// net/http, chi, gorilla and whatever else has the shape func(http.Handler) http.Handler. What it
// answers shares the values of its fields with what is stored: a handler around it that wants
// another value sets it (w.Header().Set), and does not write into the one that is there.
func (c *Cache) Handler(next http.Handler) http.Handler {
	if noHandler(next) {
		panic("freshet: Cache.Handler: the handler to wrap is nil")
	}
	return c.mount(&Mount{c: c, next: next})
}

// With returns a middleware for one route: p governs every request that passes through it, whatever
// Options.Policy says. The store and the fills are shared with the Cache's other mounts. Inside
// another mount of the same Cache, the request has been looked up by the outer policy, and p
// governs what becomes of the handler's response; if p has Credentials of its own, or is not Shared
// where the outer policy is, nothing is stored. Where p tells requests apart that the outer policy
// does not (by Key.Headers, Key.Cookies, Key.Replace, PassCookies, by parameters or forwarding
// fields that the outer policy leaves out of its keys, or by usual credentials under an outer
// policy with Credentials of its own), the outer mount stores nothing, and this one caches by
// itself; what the outer policy tells apart by Key.Headers, Key.Cookies or Key.Replace, it tells
// apart as well, and whom the outer Credentials identify is a user for it, too: also where the
// request passes the outer mount, for whatever reason. What has one of the outer PassCookies passes
// this one, unless p is Shared; so does what has no key there.
func (c *Cache) With(p policy.Policy) func(http.Handler) http.Handler {
	c.check("With", &p)
	if c.policies.add(&p) {
		c.advise(&p)
	}
	return func(next http.Handler) http.Handler {
		if noHandler(next) {
			panic("freshet: Cache.With: the handler to wrap is nil")
		}
		return c.mount(&Mount{c: c, next: next, p: &p})
	}
}

// check panics where a policy that a mount is made with cannot work.
func (c *Cache) check(where string, p *policy.Policy) {
	if !c.expires.name(p.Resource) {
		panic(fmt.Sprintf("freshet: Cache.%s: the policy's resource %q is none of those that "+
			"Options.Expires was made for, "+
			"so no setting could reach it: name it when the settings are loaded", where,
			p.Resource))
	}
	for _, wrong := range wrongs(p) {
		panic("freshet: Cache." + where + ": " + wrong)
	}
}

// wrongs returns what in a policy cannot work, a sentence for each.
func wrongs(p *policy.Policy) (all []string) {
	if slices.Contains(p.Tags, "") {
		all = append(all, "a policy's Tags have an empty one, which nothing can invalidate: give "+
			"it a name, or leave it out")
	}
	if slices.Contains(p.SendTags, "") || slices.Contains(p.TagFields, "") {
		all = append(all, "a policy's TagFields or SendTags has an empty name of a field: name the "+
			"field, or leave it out")
	}
	if p.MaxBody < 0 {
		all = append(all, fmt.Sprintf("a policy's MaxBody is %d, and there must be a bound: "+
			"set a positive one, or 0 for the default of %d", p.MaxBody,
			int64(rules.DefaultMaxBody)))
	}
	if p.HeuristicMax < 0 {
		all = append(all, fmt.Sprintf("a policy's HeuristicMax is %v, and there must be a bound: "+
			"set a positive one, or 0 for the default of %v; to have no heuristics, leave out "+
			"Heuristic",
			p.HeuristicMax, rules.DefaultHeuristicMax))
	}
	all = append(all, wrongsOfSick(p)...)
	all = append(all, wrongTimeouts(p)...)
	for i := range p.ByType {
		if len(p.ByType[i].Types) == 0 || len(p.ByType[i].Policy.ByType) > 0 {
			all = append(all, "a policy's ByType has an entry that no response can get, without "+
				"Types or within another one's Policy: "+
				"name the types, such as text/html or image/*, in the policy itself")
		}
		all = append(all, wrongs(&p.ByType[i].Policy)...)
	}
	return all
}

// wrongTimeouts returns what cannot work of a policy's bounds on runs of the handler.
func wrongTimeouts(p *policy.Policy) (all []string) {
	if p.SoftTimeout < 0 || p.HardTimeout < 0 {
		all = append(all, fmt.Sprintf("a policy's SoftTimeout is %v and its HardTimeout %v: allowed "+
			"is a length of time, or 0 for none", p.SoftTimeout, p.HardTimeout))
	}
	if p.HardTimeout > 0 && p.HardTimeout < p.SoftTimeout {
		all = append(all, fmt.Sprintf("a policy's HardTimeout of %v ends before its SoftTimeout of "+
			"%v, which so counts for nothing: allowed is %v or more, or 0 for none", p.HardTimeout,
			p.SoftTimeout, p.SoftTimeout))
	}
	if p.MaxRuns < 0 {
		all = append(all, fmt.Sprintf("a policy's MaxRuns is %d: allowed is how many runs of the "+
			"handler there may be at once, or 0 for no bound", p.MaxRuns))
	}
	return all
}

var obey policy.Policy // the zero Policy: obey the response's own headers

func (c *Cache) policyFor(r *http.Request) *policy.Policy {
	if c.options.Policy == nil {
		return &obey
	}
	p := c.options.Policy(r)
	if p == nil {
		return &obey
	}
	if c.leaves.has(r.URL.Path) {
		p = c.leaves.of(p)
	}
	if c.policies.add(p) {
		c.advise(p)
	}
	return p
}

// Shutdown stops refreshes in the background, and following a shared journal, waits until they have
// ended or ctx is done, and then returns. Requests in the foreground are not touched; the store is
// the caller's to close, after the Cache. Where the journal keeps a list of its processes, the Cache
// leaves it, so that no receipt waits for it, and uses nothing that is stored any more.
//
// Invalidations that the journal did not take are sent once more. If it does not take them now they
// are lost, and other processes go on with what they covered, unless the next process sends them
// from [Options.SpoolFolder]. In both cases the log says how many they are, and the error is one
// that errors.Is finds to be [ErrUnsent].
func (c *Cache) Shutdown(ctx context.Context) error {
	c.closing.Lock()
	c.halt()
	c.closing.Unlock()
	ended := make(chan struct{})
	go func() {
		c.background.Wait()
		c.journal.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return c.leavesUnsent()
	case <-ctx.Done():
		return errors.Join(errors.New("freshet: Cache.Shutdown: refreshes in the background, or "+
			"a call to the journal, still run"), ctx.Err())
	}
}

// hasBody reports whether the very body is in the memory that the store counts.
func (c *Cache) hasBody(key string, body []byte) bool {
	var e *store.Entry
	switch {
	case c.near != nil:
		e = c.near.GetNear(key)
	case c.local:
		e, _ = c.store.Get(context.Background(), key)
	}
	return e != nil && len(e.Body) > 0 && &e.Body[0] == &body[0]
}
