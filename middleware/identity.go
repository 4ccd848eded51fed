package middleware

import (
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/policy"
)

// identity tells what one mount's handler answers from what another's does, though the URL is the
// same: it is a part of the key. Mounts of one handler share it, and so do processes that run the
// same app.
type identity struct {
	text string // what it is made of; empty: nothing tells the handler from others
	last atomic.Pointer[mountID]
	ids  atomic.Pointer[map[underPolicy]string] // never modified

	again   atomic.Bool // it has served before
	hears   atomic.Bool // a POST's handler: see speech
	late    bool        // made while the Cache served, and known to this process only
	named   string      // late: the handler's name
	several bool        // late: one mount in two apps

	// fields by which responses vary on account of handlers that the mount does not see: see veil
	beneath atomic.Pointer[[]string]

	took durations // of the handler's runs

	arrived atomic.Bool  // a refresh has come in here
	missed  atomic.Int64 // none came in here: until when, in Unix nanoseconds, none is started
}

// mountID is an identity as keys have it, under a policy and on a route.
type mountID struct {
	underPolicy
	id string
}

type underPolicy struct {
	p     *policy.Policy
	route string
}

// maxIDs is how many policies and routes a mount remembers what it is called under: an
// Options.Policy or an Options.Route may make new ones for each request, against all advice.
const maxIDs = 256

// known returns what keys have of the identity, if it has been made.
func (who *identity) known(at underPolicy) (id string, ok bool) {
	if last := who.last.Load(); last != nil && last.underPolicy == at {
		return last.id, true
	}
	if ids := who.ids.Load(); ids != nil {
		id, ok = (*ids)[at]
	}
	return id, ok
}

func (who *identity) remember(at underPolicy, id string) {
	who.last.Store(&mountID{at, id})
	before, next := who.ids.Load(), map[underPolicy]string{}
	if before != nil {
		if len(*before) >= maxIDs {
			return
		}
		maps.Copy(next, *before)
	}
	next[at] = id
	// or else another one remembers more, and this one comes again
	who.ids.CompareAndSwap(before, &next)
}

// mounts gives the mounts of a Cache their identities: all that were made before the Cache served
// its first request at once, by the names of their handlers and their order among those of one
// name. Mounts that are made while it serves have no order to go by: a router that makes its
// handlers anew for each request, as gorilla/mux does in Use, would count them without end.
type mounts struct {
	once  sync.Once
	begun atomic.Bool // frozen, for those who do not have mu

	mu     sync.Mutex
	early  []*Mount
	frozen bool
	secret string // tells this Cache from others, where identities are its own

	late  sync.Map            // of handlers, by handlerKey: *identity
	many  int                 // how many are in late
	byURL map[uint64]sighting // of late handlers, by the hash of name and URL: no more than many
	anew  sync.Map            // names of handlers that are made for each request

	saidAnew, saidSeveral atomic.Bool
}

// maxLate is how many handlers that are mounted while it serves the Cache tells apart.
const maxLate = 1024

// serving reports whether it is called while a request is served: by a handler, or by a router that
// makes its handlers anew. Mounts that are made at start are few.
func serving() bool {
	var calls [64]uintptr
	frames := runtime.CallersFrames(calls[:runtime.Callers(2, calls[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, ".ServeHTTP") {
			return true
		}
		if !more {
			return false
		}
	}
}

// freeze gives those mounts their identities that were made at start.
func (ms *mounts) freeze() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.begun.Store(true)
	ms.frozen, ms.secret, ms.byURL = true, rand.Text(), map[uint64]sighting{}
	kinds := map[string][]any{} // the handlers of a name, each once
	places := make([]int, len(ms.early))
	for i, m := range ms.early {
		key := handlerKey(m)
		list := kinds[m.name]
		at := 0
		for at < len(list) && list[at] != key {
			at++
		}
		if at == len(list) {
			kinds[m.name] = append(list, key)
		}
		places[i] = at
	}
	identities := map[any]*identity{}
	for i, m := range ms.early {
		key := handlerKey(m)
		if m.who = identities[key]; m.who != nil {
			continue
		}
		m.who = &identity{text: m.name}
		if !plain(m.next) {
			m.who.text = fmt.Sprintf("%s %d/%d", m.name, places[i], len(kinds[m.name]))
		}
		identities[key] = m.who
		ms.late.Store(key, m.who)
	}
	ms.early = nil
}

// lateName is the key of an identity that all late mounts of handlers of one name share: their
// routes tell them apart, or nothing does.
type lateName string

// comeLate returns the identity of a mount that is made while the Cache serves.
func (ms *mounts) comeLate(m *Mount) *identity {
	key := handlerKey(m)
	if who, found := ms.late.Load(key); found {
		who := who.(*identity)
		who.again.Store(true)
		return who
	}
	if plain(m.next) {
		who, _ := ms.late.LoadOrStore(key, &identity{text: m.name})
		return who.(*identity)
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if _, anew := ms.anew.Load(m.name); anew || ms.many == maxLate || m.c.options.Route != nil {
		who, _ := ms.late.LoadOrStore(lateName(m.name), &identity{late: true, named: m.name})
		return who.(*identity)
	}
	ms.many++
	who := &identity{text: fmt.Sprintf("%s %s %d", m.name, ms.secret, ms.many), late: true,
		named: m.name}
	ms.late.Store(key, who)
	return who
}

// tell returns what keys have of the identity, and whether anything tells this mount's handler from
// others at r's URL.
func (c *Cache) tell(who *identity, r *http.Request, p *policy.Policy) (id string, ok bool) {
	route := ""
	if c.options.Route != nil {
		route = c.options.Route(r)
	}
	if route == "" {
		route = p.Key.Name
	}
	at := underPolicy{p, route}
	if id, ok := who.known(at); ok {
		if !who.again.Load() {
			who.again.Store(true)
		}
		return id, true
	}
	text := who.text
	if who.late {
		if route != "" {
			text = who.named // which other processes know as well
		} else if text == "" || !c.mounts.tells(who, r) {
			c.mounts.say(c, who)
			return "", false
		}
	}
	own := ""
	if !c.journal.Shared() {
		// no other Cache with the same store hears of what this one invalidates
		own = c.mounts.secret
	}
	h := fnv.New64a()
	for _, part := range [...]string{text, route, c.fingerprint(p), own} {
		fmt.Fprintf(h, "%d %s", len(part), part)
	}
	id = strconv.FormatUint(h.Sum64(), 36)
	who.remember(at, id)
	return id, true
}

// tells reports whether a late identity may be that of a route. When a few handlers of one name
// have come to one URL, each once and never again, they are made anew for each request: what they
// wrap could be any route's.
func (ms *mounts) tells(who *identity, r *http.Request) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	url := maphash.String(seed, who.named+" "+r.Host+r.RequestURI)
	saw, there := ms.byURL[url]
	if before := saw.last; before == nil || before == who || before.again.Load() {
		saw.streak = 0
	} else if saw.streak++; saw.streak == anewAfter {
		ms.anew.Store(who.named, nil)
	}
	saw.last = who
	if there || len(ms.byURL) < maxLate {
		ms.byURL[url] = saw
	}
	_, anew := ms.anew.Load(who.named)
	return !anew
}

// sighting is the late handler that came to a URL last, and how many before it came once only.
type sighting struct {
	last   *identity
	streak int
}

// anewAfter is how many handlers of one name come to one URL, after a first one, until they count
// as made anew.
const anewAfter = 2

// say logs, once, that nothing tells whose page is whose.
func (ms *mounts) say(c *Cache, who *identity) {
	switch {
	case who.several && !ms.saidSeveral.Swap(true):
		c.options.Log.Warn("freshet: one mount serves two apps that nothing tells apart, so the "+
			"requests of the second pass: "+
			"make a mount for each app, that is, call the adapter's Middleware or With once for "+
			"each, at start", "mount", who.named)
	case !who.several && !ms.saidAnew.Swap(true):
		c.options.Log.Warn("freshet: a router makes the handler of a mount anew for each "+
			"request, so the cache cannot tell the router's routes from each other: "+
			"its requests pass. In echo mount it with adapters/echocache, not with "+
			"echo.WrapMiddleware. Elsewhere set Options.Route, with gorillacache.Route for "+
			"gorilla/mux; "+
			"or, if the URL alone tells the routes apart, to a function that returns a constant",
			"handler", who.named)
	}
}

func (ms *mounts) enter(m *Mount) {
	if !ms.begun.Load() && serving() {
		// this is one request's mount, and no other process makes the same first
		ms.once.Do(ms.freeze)
	}
	ms.mu.Lock()
	if !ms.frozen {
		ms.early = append(ms.early, m)
		ms.mu.Unlock()
		return
	}
	ms.mu.Unlock()
	m.who = ms.comeLate(m)
}
