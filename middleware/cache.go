// Package middleware caches the responses of HTTP handlers: it judges each request and each response by RFC 9111
// and a [policy.Policy], runs a handler once however many clients ask, and keeps what may be kept in a store.
package middleware

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/deadline"
	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/follower"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Cache caches the responses of the handlers it wraps. Make one with [New], set its fields, mount it
// with [Cache.Handler], [Cache.With] or an adapter; once mounted, the fields must not change. One
// Cache may wrap many handlers, which then share its store and its fills. It is safe for concurrent use.
type Cache struct {
	// Store keeps the entries.
	Store store.Store
	// Policy chooses what the operator wishes for a request. It is called once for each request, so
	// it should return one of a few policies made beforehand, which are not modified afterwards and kept for as
	// long as the Cache is. Nil, or a nil result: obey the response's own headers and nothing else.
	Policy func(*http.Request) *policy.Policy
	// LeaveOut lists paths, with all that is below them, that whole-app mounts leave out of the operator's lifetime:
	// there [Cache.Handler] and an adapter's middleware for the whole app take neither TTL, Resource nor
	// Heuristic from the policy, and responses live by what they say themselves. "/debug/" is what is below it, and
	// "/metrics" that path too; the path is compared as the mount sees it, URL.Path. A route's own policy
	// ([Cache.With]) is not touched. Nil: DefaultLeaveOut; an empty list: none.
	LeaveOut []string
	// Expires holds the settings that name a lifetime for each resource. Nil: none.
	Expires *policy.Expires
	// Root is the app's outermost handler. A refresh in the background enters there, as a fresh request that has the
	// header fields of the one that caused it and holds nothing else of it. One that came to an http.Server with
	// another Handler enters by that, so that each of several apps has its own. Nil: there are no refreshes in the
	// background; the first client that asks during stale-while-revalidate waits for its refresh, and all others
	// meanwhile get the stale response at once.
	Root http.Handler
	// Route names the route that a request took inside the mount, where URL and host do not tell: one that
	// a router chooses by header fields, say. The name is a part of the key, so it must be the same in
	// all processes. Set it for routers that make their handlers anew for each request, such as
	// gorilla/mux with Use (gorillacache.Route), where requests pass otherwise; a function that returns a constant
	// says that URLs alone tell the routes apart. Nil, or an empty name: the mount and its handler tell.
	Route func(*http.Request) string
	// Name is the cache's name in Cache-Status. Default "Freshet".
	Name string
	// Observe, when not nil, is told what became of each request, after its response. It is called
	// from many goroutines at once.
	Observe func(*http.Request, policy.Outcome)
	// Log is told of faults: a broken store, a handler that panicked behind a stale response.
	// Nil: slog.Default().
	Log *slog.Logger

	// Journal numbers the invalidations. Nil: the journal that the store's server keeps, so that all
	// processes with that store know of each other's invalidations; where it keeps none, one of this
	// process, for which nothing counts that an earlier process or another one has stored.
	Journal store.Journal
	// MaxLag is how long a process that is cut off from a shared journal goes on using what is stored.
	// Then, until it is in touch again, handlers answer. Default 5 seconds.
	MaxLag time.Duration

	// StoreTimeout bounds each call to a store or a journal that is not in this process; what waits for it to
	// pass is woken up to a sixteenth late. Default 250 ms.
	StoreTimeout time.Duration
	// MaxFillBytes bounds what all fills together hold in memory besides the store. A response that
	// would take it past the bound streams on, unstored. Default 256 MiB.
	MaxFillBytes int64
	// MaxReadBytes bounds what clients hold of stored responses longer than 64 KiB that they are still reading and that
	// the store has let go, each counted once. Past it clients that have taken nothing for a second are cut off, and
	// handlers answer until there is room. Default 256 MiB.
	MaxReadBytes int64
	// StallTimeout is how long a client may take nothing of a response: of 32 KiB, of what is longer than 64 KiB or
	// streams. Then it is cut off by a write deadline in the past, which is set at that moment: no deadline of the
	// server's or of the app's is put off. A client of HTTP/2 that reads nothing from its connection at all is out of
	// its reach, and takes http.HTTP2Config.WriteByteTimeout. Default 1 minute; negative: never.
	StallTimeout time.Duration
	// MaxRefreshes bounds how many refreshes run in the background at once. Default 64.
	MaxRefreshes int

	once     sync.Once
	follow   *follower.Follower
	calls    deadline.Source // of StoreTimeout
	policies policies        // those of the mounts
	mounts   mounts
	webdav   atomic.Bool // a method of WebDAV's was answered with success
	targets  targets     // keys of what is asked for most
	fields   fields
	room     room
	near     store.NearStore // the store's part in this process, or nil
	local    bool            // the store is in this process: no deadline, no flush before storing
	fills    fill.Group
	beside   besides
	passes   passes
	forced   forcedRuns
	advice   advice
	leaves   leaveOut
	coming   coming
	faults   faults
	indexing keyLocks // who changes a key's index of variants

	background sync.WaitGroup
	refreshing chan struct{} // a slot for each refresh that runs
	stop       context.Context
	halt       context.CancelFunc
	closing    sync.Mutex // orders a refresh's start against Close
}

// Defaults of Cache's fields.
const (
	DefaultName         = "Freshet"
	DefaultStoreTimeout = 250 * time.Millisecond
	DefaultMaxLag       = 5 * time.Second
	DefaultMaxFillBytes = 256 << 20
	DefaultMaxReadBytes = 256 << 20
	DefaultStallTimeout = time.Minute
	DefaultMaxRefreshes = 64
)

// New returns a Cache that keeps its entries in s.
func New(s store.Store) *Cache { return &Cache{Store: s} }

// Handler wraps next with the policies that Cache.Policy chooses. It is the middleware of net/http,
// chi, gorilla and whatever else has the shape func(http.Handler) http.Handler. What it answers shares the
// values of its fields with what is stored: a handler around it that wants another value sets it
// (w.Header().Set), and does not write into the one that is there.
func (c *Cache) Handler(next http.Handler) http.Handler {
	c.setup()
	if next == nil {
		panic("middleware: Cache.Handler: the handler to wrap is nil")
	}
	return c.mount(&Mount{c: c, next: next})
}

// With returns a middleware for one route: p governs every request that passes through it, whatever
// Cache.Policy says. The store and the fills are shared with the Cache's other mounts. Inside another
// mount of the same Cache, the request has been looked up by the outer policy, and p governs what becomes of
// the handler's response; if p has Credentials of its own, or is not Shared where the outer policy is,
// nothing is stored. Where p tells requests apart that the outer policy does not (by Key.Headers, Key.Cookies,
// Key.Replace, PassCookies, or by usual credentials under an outer policy with Credentials of its own), the
// outer mount stores nothing, and this one caches by itself.
func (c *Cache) With(p policy.Policy) func(http.Handler) http.Handler {
	c.setup()
	if p.Resource != "" && c.Expires != nil && !c.Expires.Knows(p.Resource) {
		panic(fmt.Sprintf("middleware: Cache.With: the policy's resource %q is none of those that Cache.Expires was made for, so no setting could reach it: name it when the settings are loaded", p.Resource))
	}
	if c.policies.add(&p) {
		c.advise(&p)
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("middleware: Cache.With: the handler to wrap is nil")
		}
		return c.mount(&Mount{c: c, next: next, p: &p})
	}
}

var obey policy.Policy // the zero Policy: obey the response's own headers

func (c *Cache) policyFor(r *http.Request) *policy.Policy {
	if c.Policy == nil {
		return &obey
	}
	p := c.Policy(r)
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

// Close stops refreshes in the background, and following a shared journal, waits until they have ended
// or ctx is done, and then returns. Requests in the foreground are not touched; the store is the
// caller's to close, after the Cache.
func (c *Cache) Close(ctx context.Context) error {
	c.setup()
	c.closing.Lock()
	c.halt()
	c.closing.Unlock()
	ended := make(chan struct{})
	go func() {
		c.background.Wait()
		c.follow.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("middleware: Cache.Close: refreshes in the background, or a call to the journal, still run"), ctx.Err())
	}
}

// setup completes the Cache at its first mount. It panics, at start and never later, when it was
// wired in a way that cannot work.
func (c *Cache) setup() {
	c.once.Do(func() {
		if c.Store == nil {
			panic("middleware: Cache.Store is nil: make the Cache with middleware.New(memstore.New(64 << 20)) or another store")
		}
		c.targets.seed = maphash.MakeSeed()
		if c.Name == "" {
			c.Name = DefaultName
		}
		if c.Log == nil {
			c.Log = slog.Default()
		}
		if c.StoreTimeout <= 0 {
			c.StoreTimeout = DefaultStoreTimeout
		}
		if c.MaxLag <= 0 {
			c.MaxLag = DefaultMaxLag
		}
		if c.MaxFillBytes <= 0 {
			c.MaxFillBytes = DefaultMaxFillBytes
		}
		if c.MaxRefreshes <= 0 {
			c.MaxRefreshes = DefaultMaxRefreshes
		}
		if c.MaxReadBytes <= 0 {
			c.MaxReadBytes = DefaultMaxReadBytes
		}
		if c.StallTimeout == 0 {
			c.StallTimeout = DefaultStallTimeout
		}
		c.refreshing = make(chan struct{}, c.MaxRefreshes)
		c.stop, c.halt = context.WithCancel(context.Background())
		c.startJournal()
		if l, ok := store.As[store.Local](c.Store); ok {
			c.local = l.Local()
		}
		c.near, _ = store.As[store.NearStore](c.Store)
		c.room.init(c.Store)
		c.fills.Init(c.MaxFillBytes, c.MaxReadBytes, c.hasBody)
		c.beside.init()
		c.fields, c.passes, c.forced = newFields(), newPasses(), newForcedRuns()
		c.leaves.init(c.LeaveOut)
		for _, warning := range c.Expires.Warnings() {
			c.Log.Warn("freshet: settings: " + warning)
		}
	})
}

// hasBody reports whether the very body is in the memory that the store counts.
func (c *Cache) hasBody(key string, body []byte) bool {
	var e *store.Entry
	switch {
	case c.near != nil:
		e = c.near.GetNear(key)
	case c.local:
		e, _ = c.Store.Get(context.Background(), key)
	}
	return e != nil && len(e.Body) > 0 && &e.Body[0] == &body[0]
}
