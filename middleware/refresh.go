package middleware

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

type ticketKey struct{}

// refreshFor bounds a refresh whose policy names no Timeout: nobody waits for it who could give up.
const refreshFor = time.Minute

// ticketFor returns the ticket of a request that refreshes the very key that it arrived under.
func ticketFor(r *http.Request, c *Cache, key string) *refreshTicket {
	if c.root.Load() == nil {
		return nil
	}
	t, _ := r.Context().Value(ticketKey{}).(*refreshTicket)
	if t == nil || t.c != c || t.key != key || t.arrived.Load() {
		return nil
	}
	return t
}

// ofRefresh reports whether a request is a refresh in the background, or a part of one.
func ofRefresh(r *http.Request) bool { return r.Context().Value(ticketKey{}) != nil }

// arrives reports whether r is a refresh that has come to the mount that it is for, though not to
// renew the entry, and notes that it has come.
func (c *Cache) arrives(who *identity, r *http.Request) bool {
	if c.root.Load() == nil {
		return false
	}
	t, _ := r.Context().Value(ticketKey{}).(*refreshTicket)
	if t == nil || t.who != who || t.arrived.Load() {
		return false
	}
	who.arrived.Store(true)
	return true
}

// refreshes reports whether a stale response is renewed in the background: there is a root handler
// by which refreshes have come in, or may.
func (x *exchange) refreshes() bool {
	return x.c.refreshes() && time.Now().UnixNano() >= x.who.missed.Load()
}

// startRefresh starts a refresh of the stale response that was found, unless enough refreshes run, or
// it would be in vain: a later request will find room. It works on a copy of the request, which stays
// on the stack. Inlined, the copying would double the frame of every hit.
//
//go:noinline
func (l *lookup) startRefresh() {
	own := new(*l)
	own.refreshBehind()
}

func (l *lookup) refreshBehind() {
	x := &l.x
	c := x.c
	if x.outranked(l.found.entry) || x.p.MaxRuns > 0 && !c.runs.room(boundOf{x.who, x.p}) {
		return
	}
	select {
	case c.refreshing <- struct{}{}:
	default:
		return
	}
	flight := l.found.flight
	f, leads := c.fills.Join(flight, l.mayJoin, x.newFill)
	if !leads || l.lookOnceMore(f) != nil || !c.start() {
		if leads {
			f.Decide(fill.Answer{Stage: fill.StageFailed, Why: reasonLost})
		}
		<-c.refreshing
		return
	}
	t := &refreshTicket{c: c, who: x.who, key: x.req.Key, flight: flight, fill: f,
		old: l.found.entry, placed: true,
		near: c.near != nil && l.found.verdict.Use == rules.UseFresh}
	t.terms, _ = x.terms(&l.found)
	t.begin(x, refreshRequest(x.asker(l.found.entry)))
}

// begin has the app answer r in the background.
func (t *refreshTicket) begin(x *exchange, r *http.Request) {
	t.throttles = x.p.Throttle > 0
	bounded := x.p.Timeout > 0
	t.expire = time.AfterFunc(x.backgroundTimeout(), func() {
		if !bounded && t.fill.Serves() { // it is its clients' from now on
			t.free()
			return
		}
		t.settle()
		t.fill.GiveUp(reasonTimeout)
		t.fails()
		t.lease.Load().end(true)
		t.free()
	})
	ctx := context.WithValue(x.serversContext(), ticketKey{}, t)
	go t.c.runRefresh(t, t.c.rootOf(x.r), r.WithContext(ctx))
}

// serversContext returns a context that ends with the Cache, and has what the client's server put
// into that of its request: also BaseContext's and ConnContext's values, where no handler but Root
// or Guard can have come before.
func (x *exchange) serversContext() context.Context {
	root, _ := x.c.rootOf(x.r).(*guard)
	if server, _ := x.r.Context().Value(http.ServerContextKey).(*http.Server); server != nil &&
		server.Handler == http.Handler(root) && x.arrival != nil && x.arrival.Value(speakingKey{}) == nil {
		values := x.arrival.Context
		if server, ok := values.Value(servedKey{}).(context.Context); ok {
			values = server // of a run in the background, which holds on to no earlier one
		}
		return &servedContext{x.c.stop, values}
	}
	ctx := x.c.stop
	for _, key := range []any{http.ServerContextKey, http.LocalAddrContextKey} {
		if v := x.r.Context().Value(key); v != nil {
			ctx = context.WithValue(ctx, key, v)
		}
	}
	return ctx
}

// servedContext is a context with the values of a server's own.
type servedContext struct {
	context.Context
	server context.Context
}

type servedKey struct{}

func (c *servedContext) Value(key any) any {
	if key == (servedKey{}) {
		return c.server
	}
	return c.server.Value(key)
}

// backgroundTimeout is how long a run in the background may take. A client that waits for it for as
// long as HardTimeout is not given up before.
func (x *exchange) backgroundTimeout() time.Duration {
	if x.p.Timeout > 0 {
		return x.p.Timeout
	}
	return max(refreshFor, x.p.HardTimeout)
}

// outranked reports whether what takes the place of e would count as older than this process's own
// newest marks, because older ones are missing. The journal says in a moment which those are.
func (x *exchange) outranked(e *store.Entry) bool {
	if !x.c.journal.Lacks() {
		return false
	}
	since := store.Entry{URI: e.URI, Tags: e.Tags, Number: x.c.journal.Seen()}
	return x.coveredHere(&since) != invalidation.CoverageNone
}

// asker is the request by which e is renewed: the client's, but without its credentials where what
// a user gets could not be stored for others, and where e is what anybody else would get as well.
func (x *exchange) asker(e *store.Entry) *http.Request {
	r := x.asArrived()
	if !x.req.Credentials || rules.ForEveryone(e, x.p) {
		return r
	}
	anyone := *x.r
	anyone.Header = rules.WithoutCredentials(x.r.Header)
	q := rules.Request{Mount: x.req.Mount}
	if q.Read(&anyone, x.p, nil); q.Credentials || q.Key != x.req.Key ||
		!rules.Matches(e.Vary, anyone.Header) {
		return r
	}
	if r != x.r {
		r.Header = rules.WithoutCredentials(r.Header)
		return r
	}
	return &anyone
}

// asArrived returns the request as it came to Root or Guard, if it is the one that did, since what a
// refresh enters is the same app: a handler outside that looks at the Authorization and takes it off,
// or puts a proxy's host into the place of the connection's, is to find again what it found. Cookies
// are those that the mount sees, without the ignored ones. What handlers put into the very map of the
// header stays.
func (x *exchange) asArrived() *http.Request {
	a := x.arrival
	if !x.came {
		return x.r
	}
	r := *x.r
	r.Host, r.RequestURI, r.RemoteAddr = a.host, a.target, a.remote
	r.Header = make(http.Header, len(a.header)+1)
	maps.Copy(r.Header, a.header)
	delete(r.Header, debugField)
	for name, values := range map[string][]string{
		"Authorization": a.authorization, "Cookie": x.r.Header["Cookie"],
	} {
		if delete(r.Header, name); len(values) > 0 {
			r.Header[name] = values
		}
	}
	return &r
}

// strayFor is how long clients renew the pages of a mount to which a refresh did not come.
const strayFor = time.Minute

// strayed notes that a refresh entered an app and did not come to its mount, though none was in the
// way of it. Where none has ever come, there may be something wrong with the root; or a handler
// outside of the mount has answered this one.
func (c *Cache) strayed(t *refreshTicket, r *http.Request, status int) {
	if t.who.arrived.Load() {
		return
	}
	if t.who.missed.Swap(time.Now().Add(strayFor).UnixNano()) != 0 {
		return
	}
	c.options.Log.Warn("freshet: a refresh in the background did not come to the mount that it "+
		"is for: a handler outside of the mount answered it, or the mount is not in this app. For a "+
		"minute clients wait for its pages to be renewed, and then another refresh is tried. If "+
		"none comes through, give Cache.Root the outermost handler of the app that the "+
		"mount is in; of several apps, serve each by an http.Server of its own",
		"url", r.Host+r.RequestURI, "status", status)
}

// start counts one more refresh, unless the cache was closed.
func (c *Cache) start() bool {
	c.closing.Lock()
	defer c.closing.Unlock()
	if c.stop.Err() != nil {
		return false
	}
	c.background.Add(1)
	return true
}

// runRefresh has the app answer a refresh. It runs in a goroutine of its own, which no server's
// recovery protects: whatever panics in it, a handler outside or what comes at the end of the
// request, must not end the process.
func (c *Cache) runRefresh(t *refreshTicket, root http.Handler, r *http.Request) {
	defer c.background.Done()
	// of the operator's log, that is, which has taken nothing of what it is for
	defer func() { recover() }()
	defer t.free()
	defer t.settle()
	defer t.expire.Stop()
	if !t.agree() {
		t.fill.GiveUp(reasonWaited) // those who wait look again
		return
	}
	client := &nowhere{header: http.Header{}}
	defer func() {
		v := recover()
		t.lease.Load().end(false) // unless its run has
		if !t.arrived.Load() {    // or else its run ends the fill
			t.fill.Decide(fill.Answer{Stage: fill.StageFailed, Why: reasonLost})
			if v != nil || client.status >= 500 {
				t.fails() // a 429 may be about that client alone
			}
			if v == nil && c.stop.Err() == nil && !client.refused() {
				c.strayed(t, r, cmp.Or(client.status, http.StatusOK))
			}
		}
		if v != nil {
			c.lost(r, v, debug.Stack())
		}
	}()
	client.ask(root, r)
	t.handOver(client)
}

// fails notes that the refresh failed before it came to its mount: a run of that notes its own end.
func (t *refreshTicket) fails() {
	if t.throttles && !t.arrived.Load() && t.c.stop.Err() == nil {
		t.c.tries.note(t.flight, t.fill, true)
	}
}

// refreshRequest makes a fresh request like r, which holds nothing of r: no context, no body, no
// memory that a framework will use again. It asks for the whole response, without conditions. begin
// gives it its context.
func refreshRequest(r *http.Request) *http.Request {
	u := *r.URL
	if r.RequestURI != "" { // what came in at the root, before prefixes were stripped
		if parsed, err := url.ParseRequestURI(r.RequestURI); err == nil {
			u = *parsed
		}
	}
	fresh := &http.Request{
		Method: http.MethodGet, URL: &u, RequestURI: strings.Clone(r.RequestURI),
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: rules.Unconditional(r.Header).Clone(), Body: http.NoBody,
		Host: r.Host, RemoteAddr: r.RemoteAddr, TLS: r.TLS,
	}
	for _, name := range []string{"Cache-Control", "Pragma", "Range", "If-Range"} {
		delete(fresh.Header, name)
	}
	return fresh
}

// nowhere is the client of a refresh.
type nowhere struct {
	header http.Header
	status int
	gate   gate
}

// ask has root answer r, from its beginning to its end.
func (w *nowhere) ask(root http.Handler, r *http.Request) {
	defer w.gate.close()
	w.gate.veil.shown.Store(mapOf(w.header))
	root.ServeHTTP(w, r.WithContext(&gatedContext{arrivalOf(r), &w.gate}))
	w.gate.leaves(http.StatusOK, w.header)
}

func (w *nowhere) Header() http.Header {
	if w.gate.veil.drawn.Load() {
		w.gate.veil.look(w.header)
	}
	return w.header
}

func (w *nowhere) Flush() { w.gate.leaves(http.StatusOK, w.header) }

func (w *nowhere) Write(p []byte) (int, error) {
	w.gate.leaves(http.StatusOK, w.header)
	return len(p), nil
}

func (w *nowhere) WriteHeader(status int) {
	if w.status < 200 {
		w.status = status
	}
	if status >= 200 {
		w.gate.leaves(status, w.header)
	}
}

// refused reports whether an error of the moment was the answer, as of a limit or of maintenance:
// the next refresh may come further.
func (w *nowhere) refused() bool {
	return w.status == http.StatusTooManyRequests || w.status >= 500
}

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex do nothing: there is no connection to wait
// for. A handler that answers with an error where it cannot have them has no reason to.

func (w *nowhere) SetReadDeadline(time.Time) error  { return nil }
func (w *nowhere) SetWriteDeadline(time.Time) error { return nil }
func (w *nowhere) EnableFullDuplex() error          { return nil }
