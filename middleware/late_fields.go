package middleware

import (
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/stall"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// A handler outside the cache may put fields into the header only as it is written: a session
// middleware wraps the client's writer, and its WriteHeader sets the cookie of a session that the
// page was made with. Such a page is for its client alone. So where the client's writer is not the
// server's own, a run first sends its client the header, looks at what has appeared there, and only
// then gives the response to others and to the store. Sending a header waits for no client. Where a
// writer between holds the header back, the gate tells when it has gone: until then the response is
// nobody else's.

// pending is what a run has for others once its own client's header has been sent.
type pending struct {
	answer *store.Entry // what those who wait may have; nil when nothing
	flows  bool         // ... as it comes
	given  bool         // they may have it by now
	stores bool         // a whole response: it is stored then, too

	departs bool // ... or found on its way to the store

	sent    rules.Sent
	looked  bool
	trusted bool // nobody outside can set a field now: there is nothing to look at

	way  *passage // to the gate, if there is one
	held bool     // the header was sent, and has not passed it
	last bool     // the end of the request decides
}

// offer gives those who wait the answer e, which flows or is whole, as soon as that is safe.
func (n *run) offer(e *store.Entry, flows bool) {
	n.after.answer, n.after.flows = e, flows
	if n.after.trusted = bare(n.x.w); n.after.trusted {
		n.give()
	}
}

// give lets those who wait have what is offered.
func (n *run) give() {
	e := n.after.answer
	if n.after.answer = nil; e == nil {
		return
	}
	if n.after.flows {
		n.index(e)
		n.open(e)
		return
	}
	n.settle(e)
}

// head sends the header of the final response.
func (x *exchange) head(status int) {
	if n := x.leading; n != nil {
		n.head(status)
	} else {
		x.clientsRevalidate(status)
		x.sendHeader(status)
	}
}

func (n *run) head(status int) {
	n.sendHead(status)
	n.saveBehind()
	n.leaves.leaves(n.rec.status, n.x.w.Header()) // for a mount inside
}

func (n *run) sendHead(status int) {
	x := &n.x
	x.clientsRevalidate(status)
	if n.after.trusted || n.after.answer == nil && n.kept == nil {
		x.sendHeader(status)
		return
	}
	h := x.w.Header()
	n.after.sent, n.after.looked = rules.SentWith(h, n.x.p), true
	if g := x.gate(); g != nil {
		n.after.way = g.expect(&passage{
			f: n.f, status: status, sent: n.after.sent, told: lastOf(h["Cache-Status"]), p: n.x.p,
			e:       n.forOthers(),
			passing: n.x.passing, veiled: n.x.veiled, layered: n.layered, who: n.x.who,
		})
	}
	x.sendHeader(status)
	n.goOn()
}

// forOthers is the response as others may have it, or nil.
func (n *run) forOthers() *store.Entry {
	if n.kept != nil {
		return n.kept
	}
	return n.after.answer
}

// goOn gives the response to others and to the store once its header has gone out, unless what has
// appeared there makes it one for its client alone. It returns false while the header is held back.
func (n *run) goOn() bool {
	if n.after.held = n.after.way.held(); n.after.held {
		return false
	}
	if n.late() {
		return true
	}
	n.after.given = true
	n.give()
	switch {
	case n.after.stores:
		n.after.stores = false
		n.store()
	case n.after.departs:
		n.after.departs = false
		n.depart(n.kept)
	}
	return true
}

// late reports whether a field has appeared that makes the response one for its client alone, and
// then keeps it from all others.
func (n *run) late() bool {
	if !n.after.looked {
		return false
	}
	e := n.forOthers()
	if e == nil {
		return false
	}
	why, ignored := n.appeared(e)
	if why == "" {
		return false
	}
	n.keepFromOthers(why)
	n.tellOfLate(why, ignored)
	return true
}

// appeared returns why what has appeared in the header keeps e from others, and the name of a
// cookie in it that the policy ignores. Nothing is added to a header that has passed the gate, and
// its writers may have been taken back.
func (n *run) appeared(e *store.Entry) (why policy.Reason, ignored string) {
	if way := n.after.way; way != nil {
		if why, ignored = way.objection(); why != "" || !way.g.inner || n.x.w == nil {
			return why, ignored
		}
	}
	h := n.x.w.Header()
	outside := n.after.sent.Late(n.x.passing.asCame(h), n.x.p)
	if why = outside.Objects(e, n.x.p, time.Now()); why != "" {
		ignored = rules.SetsIgnoredCookie(h, n.x.p)
	}
	return why, ignored
}

// keepFromOthers makes the response one for its client alone.
func (n *run) keepFromOthers(why policy.Reason) {
	n.out.Stored, n.out.Detail = false, why
	n.kept, n.after.answer, n.after.stores, n.after.departs = nil, nil, false, false
	n.arrived()
	n.f.SetLimit(0)
	n.pass()
}

// afterAll looks once more when the client has been served: a writer between may have held the
// header back until the body came, or until the cache returns.
func (n *run) afterAll() {
	if !n.after.held {
		if e := n.kept; e != nil && n.late() && !n.x.c.options.ReadOnly {
			n.x.c.remove(n.x.r.Context(), e) // without a gate those who asked meanwhile have read along
		}
		return
	}
	if n.goOn() || n.forOthers() == nil {
		return
	}
	n.out.Stored = false // so far: nothing of the request may be touched later, to say more
	n.after.stores, n.after.departs = n.kept != nil, false
	n.after.last = true
}

// detach makes n forget its request and its client's writer: the end of the request may come when
// the handlers outside have returned, and have given the writers that they had made, the request
// and its context back to their pools.
func (n *run) detach() {
	r := &http.Request{Method: n.x.r.Method, URL: &url.URL{Path: n.x.r.URL.Path},
		Header: n.x.r.Header.Clone()}
	n.x.r, n.x.w, n.x.next, n.x.around, n.x.arrival = r, nil, nil, nil, nil
	n.x.over = nil
}

// atEnd is called at the end of the request, when the response is whole and what holds headers back
// has ended.
func (n *run) atEnd() {
	defer n.over()
	if !n.goOn() {
		n.neverWent()
	}
}

// neverWent keeps a response from others of which nobody has seen the header go out.
func (n *run) neverWent() {
	n.keepFromOthers(reasonHeld)
	n.x.c.warnOfHeld()
}

// push writes what is held of the body of a stream until its header has passed the gate, in the
// goroutine of the request, where outer handlers expect to send it. It writes so little at once
// that it waits for no client. If that does not do, others do not wait for the rest.
func (n *run) push(b body, rd *fill.Reader) {
	const little = 1 << 10
	if more := min(max(stall.ServerBuffer-len(n.rec.held), 0), len(n.rec.coming)); more > 0 {
		if n.f.Write(n.ctx, n.rec.coming[:more]) == nil {
			n.rec.coming = n.rec.coming[more:]
			n.rec.written += int64(more)
		}
	}
	held := rd.Ready()
	for off := 0; off < len(held) && !n.goOn(); {
		piece := held[off:min(off+little, len(held))]
		if b.write(piece) != nil {
			break
		}
		off += len(piece)
		rd.Took(len(piece))
	}
	n.orAlone()
}

// orAlone lets nobody wait for a stream whose header is held back.
func (n *run) orAlone() {
	if !n.after.held || n.goOn() {
		return
	}
	n.after.answer = nil
	n.pass()
	n.x.c.warnOfHeld()
}

// lateHints keeps what has appeared in the header while an informational response was sent, of
// which it was hints: a session middleware that takes that for the response sets its cookie now or
// never. before is the header that the final response begins with. What has taken the place of the
// handler's own word on its lifetime is the handler's from now on, as it is without a cache, where
// both have one header.
func (n *run) lateHints(header, hints, before http.Header) {
	cookie := n.x.outside.Cookie
	for name, values := range header {
		old := hints[name]
		if slices.Equal(values, old) {
			continue
		}
		switch canonical := http.CanonicalHeaderKey(name); {
		case slices.Equal(old, n.rec.outer[name]): // the handler has said nothing of it
			before[name] = values
		case rules.AddsTo(nil, canonical):
			before[name] = slices.Concat(before[name], rules.Added(values, old))
		case rules.NamesLifetime(canonical, n.x.p):
			hints[name] = values
			continue
		default:
			continue // the handler's stands
		}
		n.x.outside = rules.ReadOutside(before, n.x.p)
		cookie = cookie || http.CanonicalHeaderKey(name) == "Set-Cookie" && !n.x.p.StoreCookies
		n.hinted = before
	}
	// of a mount outside
	if said := saidIn(n.x.r.Context()); said != nil && said.run != nil && said.run.hinted != nil {
		n.hinted = said.run.hinted
		n.x.outside = rules.ReadOutside(n.hinted, n.x.p)
		cookie = cookie || setsCookie(n.hinted) && !n.x.p.StoreCookies
	}
	// which counts where the policy is Shared, too: see Late
	n.x.outside.Cookie = n.x.outside.Cookie || cookie
}

// bare reports whether a writer is the server's own, or of ours, so that writing the header adds
// nothing to it.
func bare(w http.ResponseWriter) bool {
	switch w := w.(type) {
	case *nowhere:
		return true
	case *recorder:
		return bare(w.to.client())
	case *guarded:
		return bare(w.ResponseWriter)
	case *passed:
		return bare(w.x.w)
	}
	t := reflect.TypeOf(w)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == "net/http" {
		return !limitsTime(t)
	}
	return t.PkgPath() == "golang.org/x/net/http2"
}

const (
	toldOfLate = "a handler outside the cache changed the header of a response while it was " +
		"written, " +
		"as session middleware does that sets its cookie only then: the response is its client's " +
		"alone, and is not " +
		"stored. If the page needs no session, let its handler begin none"
	toldOfLateUnguarded = toldOfLate + "; and serve the app through Cache.Root, " +
		"so that no cache on the way keeps such a response"
	toldOfVeil = "the cache is mounted inside http.TimeoutHandler, or another writer with a header " +
		"of its own, and handlers outside of that say in Vary or Cache-Control what the cache could " +
		"not see: the response is its client's alone, and is not stored. Mount what holds responses " +
		"back inside the cache, or set Policy.Timeout in the place of http.TimeoutHandler"
	toldOfTooLate = "a handler outside the cache changed the header of a response after those " +
		"who asked meanwhile had " +
		"been given the response, as session middleware does beyond a compressor: the page may " +
		"be one user's, and " +
		"others may have got it. Serve the app through Cache.Root, and mount compressors and " +
		"time limits inside the cache"
)

// veils reports whether a response may be kept from others on account of what a header map of its
// own hides from the cache, and not of a cookie or the like.
func veils(why policy.Reason) bool {
	switch why {
	case rules.ReasonSetCookie, rules.ReasonSetIdentity, rules.ReasonNonce:
		return false
	}
	return true
}

// tellOfLate logs, once, that handlers outside set fields too late to be judged with the response.
// With Guard that is as it should be where a page belongs to a session, and else the answer to why
// it is not cached.
func (n *run) tellOfLate(why policy.Reason, ignored string) {
	n.x.adviseOnIgnored(ignored)
	level, text := slog.LevelInfo, toldOfLate
	switch {
	case n.x.veiled && n.after.way != nil && n.after.way.veiled && ignored == "" && veils(why):
		level, text = slog.LevelWarn, toldOfVeil
	case n.after.given:
		level, text = slog.LevelError, toldOfTooLate
	case n.after.way == nil || n.after.way.g.inner:
		level, text = slog.LevelWarn, toldOfLateUnguarded
	}
	n.x.c.say(level, text, "path", n.x.r.URL.Path, "reason", string(why))
}
