package middleware

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/policy"
)

// Mount is one place where a Cache answers for handlers. Adapters of frameworks whose handlers are
// no http.Handler make one at start with [Cache.Mount]; all others use [Cache.Handler] and
// [Cache.With]. It is safe for concurrent use.
type Mount struct {
	c    *Cache
	p    *policy.Policy // nil: Options.Policy chooses
	next http.Handler   // nil: an adapter's
	who  *identity      // nil until the Cache serves its first request
	name string         // of the handler

	first atomic.Pointer[inApp] // of apps: most mounts are in one alone
	apps  sync.Map              // see Within: *inApp by app
	mu    sync.Mutex
	names map[string]bool // of apps
}

// Mount returns a mount for an adapter, which calls its Serve for each request. name says what the
// adapter is; of several mounts of one name the order in which they are made at start tells one
// from the other. p governs every request of the mount; nil: Options.Policy chooses. Mount panics
// where p cannot work, as [Cache.With] does.
func (c *Cache) Mount(name string, p *policy.Policy) *Mount {
	if p != nil {
		c.check("Mount", p)
	}
	return c.mount(&Mount{c: c, p: p, name: "adapter " + name})
}

// Serve answers one request from the store or by running next. It does not return before next has,
// if it ran next.
func (m *Mount) Serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	m.serve(w, r, next)
}

// Asks reports whether functions of the app look at each request of the mount: Options.Policy,
// Options.Observe, Options.Route or a policy's Scope, Credentials, TagsOf or Key.Replace. Then an
// adapter makes its framework's route known to them beforehand.
func (m *Mount) Asks() bool {
	o, p := &m.c.options, m.p
	if p == nil {
		p = &policy.Policy{}
	}
	return o.Observe != nil || m.looks(p)
}

// Within returns the mount as it is in one of several apps that an adapter finds it in. name tells
// the app from the others in all processes. A second app of a name cannot be told from the first,
// so its requests pass, and the log says so.
func (m *Mount) Within(app any, name func() string) *Mount {
	if first := m.first.Load(); first != nil && first.app == app {
		return first.mount
	}
	known, found := m.apps.Load(app)
	if !found {
		known = m.enter(app, name)
	}
	in := known.(*inApp)
	m.first.CompareAndSwap(nil, in)
	return in.mount
}

// inApp is a mount as it is in one of several apps.
type inApp struct {
	app   any
	mount *Mount
}

func (m *Mount) enter(app any, name func() string) any {
	m.c.mounts.once.Do(m.c.mounts.freeze)
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, found := m.apps.Load(app); found {
		return known
	}
	text := name()
	inner := &Mount{c: m.c, p: m.p, name: m.name + " in " + text}
	switch {
	case m.names[text]:
		inner.who = &identity{late: true, named: m.name, several: true}
	case m.who.late:
		inner.who = &identity{late: true, named: inner.name, text: m.who.text + " in " + text}
	default:
		inner.who = &identity{text: m.who.text + " in " + text}
	}
	if m.names == nil {
		m.names = map[string]bool{}
	}
	m.names[text] = true
	in := &inApp{app, inner}
	m.apps.Store(app, in)
	return in
}

// ServeHTTP answers one request from the store or by running the handler that the mount wraps.
func (m *Mount) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.serve(w, r, m.next) }

func (m *Mount) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	m.c.mounts.once.Do(m.c.mounts.freeze)
	if len(m.c.options.DebugKey) > 0 && len(r.Header[debugField]) > 0 {
		m.serveDebugged(w, r, next)
		return
	}
	p := m.p
	if p == nil {
		p = m.c.policyFor(r)
	}
	m.c.serve(w, r, next, p, m)
}

// serveDebugged is serve, for a request that shows a debug token.
func (m *Mount) serveDebugged(w http.ResponseWriter, r *http.Request, next http.Handler) {
	inside, traced := m.c.debugged(r)
	defer giveBack(r, inside)
	if traced {
		defer untrace()
	}
	m.serve(w, inside, next)
}

// mount gives m its identity, now or when the Cache serves its first request.
func (c *Cache) mount(m *Mount) *Mount {
	if c.store == nil {
		panic("freshet: the Cache has no store: make it with freshet.New(memstore.New(64<<20), " +
			"freshet.Options{})")
	}
	if m.p != nil && c.policies.add(m.p) {
		c.advise(m.p)
	}
	if m.name == "" {
		m.name = nameOf(m.next)
	}
	c.mounts.enter(m)
	return m
}
