package middleware

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// decide commits before the handler has returned. When that settles the answer, the client need not wait
// for a handler that nobody listens to any more.
func (n *run) decide() {
	n.commit(false)
	if n.state == substituted {
		n.finish()
		http.NewResponseController(n.x.w).Flush()
		n.cancel()
	}
}

// commit is called once the handler's header and the beginning of its body are there: what kind of
// response is it, and who may have it? final says that the body is whole.
func (n *run) commit(final bool) {
	if n.ctx.Err() == context.DeadlineExceeded {
		n.f.GiveUp(ReasonTimeout) // as expires does, which may come to it later than the handler
	}
	h, removed := n.rec.response()
	n.removed = removed
	if n.out.FwdStatus = n.rec.status; n.said.failure() != nil {
		n.out.FwdStatus, n.out.Detail = 0, ReasonLost // whoever wrote this page, the handler's origin did not
	}
	n.noteForced(n.rec.received, n.failing())
	switch {
	case n.asks == validation && n.rec.status == http.StatusNotModified:
		n.freshen(h)
		return
	case n.asks == rest && n.rec.status == http.StatusPartialContent:
		n.become(completing)
		n.part = h
		return
	case n.asks == rest && n.rec.status == http.StatusRequestedRangeNotSatisfiable:
		n.become(retrying)
		return
	case n.standsIn():
		n.serveStale()
		return
	}
	a, announced := n.admit(h, n.rec.status, final)
	if !a.Store {
		n.direct(h, final)
		return
	}
	stored := h
	// A map from which outer handlers' fields were taken keeps their room.
	if n.asStored = final && a.AsIs && len(n.rec.outer) == 0; !n.asStored {
		stored = rules.Storable(h, a.Strip)
		rules.NoteReplaced(stored, h, n.removed)
	}
	e := n.entry(stored, a, n.rec.status)
	e.Announced = announced
	n.validators(h, e, final)
	n.share(h, e, final, a.Fresh > a.Age)
}

// standsIn says whether what is stored is served in the place of the handler's error.
func (n *run) standsIn() bool {
	if !n.mayStandIn() {
		return false
	}
	return n.found.verdict.OnError && rules.ServerError(n.rec.status) || n.found.verdict.OnLost && n.said.failure() != nil
}

// mayStandIn says whether there is something whole, which nobody invalidated meanwhile.
func (n *run) mayStandIn() bool {
	if n.found.entry == nil || n.found.entry.Spans != nil {
		return false
	}
	return n.x.covered(n.found.entry) != store.CoverageHard
}

// overtaken says whether an invalidation came since the handler began, of its URI or of a tag of its.
func (n *run) overtaken() bool {
	return n.x.c.follow.Covers(&store.Entry{URI: n.x.req.URI, Tags: n.said.tagged(n.x.req.Tag), Fill: n.f.Start.Number}) != store.CoverageNone
}

// admit judges the response, and writes into its header what the operator's settings say to clients.
func (n *run) admit(h http.Header, status int, final bool) (a rules.Admission, announced bool) {
	ttl := n.said.lifetime(n.x.ttl)
	a = rules.Admit(&n.x.req, status, n.x.outside.Judged(h), n.x.p, ttl, n.began, n.rec.received)
	refuse := func(why policy.Reason) { a.Store, a.Reason = false, why }
	switch {
	case !a.Store:
	case n.x.outside.Alone() != "": // whatever no-cache="Set-Cookie" says
		refuse(n.x.outside.Alone())
	case n.said.silent():
		refuse(ReasonHandler)
	case n.said.failure() != nil:
		refuse(ReasonLost)
	case n.rec.declared > n.x.maxBody() || int64(len(n.rec.held)) > n.x.maxBody():
		refuse(ReasonTooLarge)
	case final && n.rec.short():
		refuse(ReasonCut)
	case n.overtaken():
		refuse(ReasonOutdated)
	case n.f.GivenUp() != "":
		refuse(n.f.GivenUp())
	case n.mute && !a.Explicit && !n.said.hasTTL():
		refuse(ReasonEmpty)
		n.x.c.warnOfNothing()
	case n.suspect():
		refuse(rules.ReasonSuspect)
	case n.displaces(&a):
		refuse(rules.ReasonPageKept)
	}
	announced = rules.Announce(h, n.x.p, a, &n.x.req, ttl, n.x.governed && !n.x.outside.Speaks(), n.rec.received)
	n.out.Stored = a.Store && n.found.broken == ""
	if !a.Store && n.out.Detail == "" {
		n.out.Detail = a.Reason
	}
	return a, announced
}

// entry is the stored response to be, all but its body: with the header h, of which a was said.
func (n *run) entry(h http.Header, a rules.Admission, status int) *store.Entry {
	e := newEntry(&n.x.req, &a, status, h, n.began, n.rec.received)
	e.Tags, e.Fill = n.said.tagged(n.x.req.Tag), n.f.Start.Number
	n.varies, n.strip = a.Vary, a.Strip
	if len(a.Vary) > 0 {
		e.Vary = rules.Nominated(a.Vary, n.x.r.Header)
	}
	if len(a.Vary) > 0 || n.found.indexed {
		e.Key = rules.VariantKey(n.x.req.Key, a.Vary, n.x.r.Header)
	}
	return e
}

// validators gives the response an ETag and a Last-Modified when the handler gave it neither. The tag
// is made from the content when all of it is there; a response that streams gets one by lot.
func (n *run) validators(h http.Header, e *store.Entry, final bool) {
	if n.x.p.NoValidators || e.Status != http.StatusOK && e.Status != http.StatusNonAuthoritativeInfo {
		return
	}
	if e.Header["Etag"] != nil || e.Header["Last-Modified"] != nil { // in canonical form, which h may not be
		return
	}
	var tag string
	if final {
		tag = rules.MakeETag(h, n.rec.held)
	} else {
		var lot [16]byte
		rand.Read(lot[:])
		tag = rules.StreamETag(lot)
	}
	modified := n.rec.received.UTC().Format(http.TimeFormat)
	for _, header := range []http.Header{h, e.Header} {
		header["Etag"], header["Last-Modified"] = []string{tag}, []string{modified}
	}
	e.MadeETag, e.MadeModified = true, true
}

// share lets the readers have the response as far as they may. A response that is stored but not
// fresh (no-cache) is for the leader alone: the next request has to validate it.
func (n *run) share(h http.Header, e *store.Entry, final, fresh bool) {
	if n.solo {
		n.unlinked() // it is worth storing, whether its client stays or not
	}
	partial := e.Status == http.StatusPartialContent
	shareable := fresh && !partial && n.x.req.Class == rules.Read
	n.kept = e
	switch {
	case final && partial:
		n.kept = n.complete(e, fill.Fit(n.rec.held))
		n.checkPart()
		n.departs()
		n.send(h)
		n.become(passing)
	case final:
		n.kept = n.complete(e, fill.Fit(n.rec.held)).Pack()
		n.packed = n.kept
		n.checkRoom(n.kept)
		if n.asStored {
			h = n.kept.Header
		}
		n.answer, n.own = n.kept, h
		n.become(whole)
		if shareable {
			n.offer(n.answer, false)
		}
	default:
		if n.solo {
			n.linkToReaders(n.cancel)
		}
		n.become(streaming)
		n.f.Stream(n.rec.held)
		n.promise(e)
		if t := n.rec.frozen["Trailer"]; t != nil {
			e.Header["Trailer"] = t // for those who read along; complete leaves it out
		}
		if shareable {
			n.offer(e, true)
		} else {
			n.pass()
		}
		n.pump(h)
		return
	}
	if !shareable {
		n.pass()
	}
}

// settle gives the readers a whole answer. Those that turn out to want another variant look again, and
// must then find the index.
func (n *run) settle(e *store.Entry) {
	n.index(e)
	n.f.Decide(fill.Answer{Stage: fill.Settled, Entry: e})
	if n.instead != nil {
		n.f.TakeOver(n.instead) // the store does not have e yet
		n.instead.Replace(fill.Answer{Stage: fill.Settled, Entry: e, Why: ReasonWaited})
	}
}

// open lets readers in: those that wait, and those that ask for this variant from now on.
func (n *run) open(e *store.Entry) {
	if n.instead != nil {
		defer n.instead.GiveUp(ReasonWaited) // those who wait for it come to this one
		n.f.TakeOver(n.instead)
	}
	if e.Key != n.found.flight || n.solo {
		n.f.Alias(e.Key)
	}
	n.f.Decide(fill.Answer{Stage: fill.Flowing, Entry: e})
}

// complete gives e, which nobody else has, its body and what follows from that.
func (n *run) complete(e *store.Entry, body []byte) *store.Entry {
	e.Body, e.Trailer = body, n.sharedTrailers()
	if e.Status == http.StatusPartialContent {
		return n.partial(e)
	}
	delete(e.Header, "Trailer")
	if e.Trailer == nil && bodyAllowed(e.Status) {
		setLength(e.Header, len(body))
	}
	if e.Status == http.StatusOK && e.Header["Accept-Ranges"] == nil {
		e.Header["Accept-Ranges"] = inBytes
	}
	return e
}

var inBytes = []string{"bytes"}

// pass lets those who wait run the handler themselves, and remembers the key for a while.
func (n *run) pass() {
	why := n.out.Detail
	if n.suspect() {
		why = rules.ReasonSuspect // whatever else it is: others may do better
	}
	late := n.f.GivenUp() != "" // which says nothing of what another run would answer
	if !n.solo && !n.ownFault() && !late && !n.x.c.outdated(n.f) {
		lasts := passFor
		if n.rec.status >= 400 {
			lasts = passForError
		}
		n.x.c.passes.remember(n.found.flight, time.Now().Add(lasts), why) // before the fill goes: who comes in between would lead
	}
	n.f.Decide(fill.Answer{Stage: fill.Private, Why: why})
	if n.instead != nil && n.x.req.Class == rules.Read && !n.ownFault() && !n.suspect() && !late {
		n.instead.Replace(fill.Answer{Stage: fill.Private, Why: why})
	}
}

// ownFault says whether it is this request, rather than what it asks for, that makes the response private:
// its credentials, its wish, or whatever made the handler refuse what it has answered others.
func (n *run) ownFault() bool {
	if n.x.req.Credentials && !n.x.p.Shared || n.x.req.Directives.NoStore {
		return true
	}
	return n.rec.status >= 400 && n.found.entry != nil && n.found.verdict.Use != rules.Miss || n.suspect()
}

// direct hands the response to the leader's client alone, as the handler makes it.
func (n *run) direct(h http.Header, final bool) {
	n.pass()
	if n.x.req.Class == rules.Head {
		n.updateFromHead(h)
	} else {
		n.dropOutdated(h)
	}
	if n.asks != asSent && n.x.req.Conditional && n.rec.status == http.StatusOK && rules.NotModified(n.x.r.Header, h, n.rec.received) {
		n.become(substituted)
		n.answer, n.own = &store.Entry{Status: http.StatusNotModified}, h
		return
	}
	n.become(passing)
	if final && bodyAllowed(n.rec.status) && n.rec.declared < 0 && n.x.req.Class != rules.Head && n.rec.trailers() == nil && h["Content-Length"] == nil && h["Transfer-Encoding"] == nil {
		h["Content-Length"] = []string{strconv.Itoa(len(n.rec.held))}
	}
	n.send(h)
	// Nobody else has a use for this run any more: it ends with its client.
	n.unlinked()
	n.unlink = context.AfterFunc(n.x.r.Context(), n.cancel)
}

// send writes the header of a response that is passed on, and what was held back of its body.
func (n *run) send(h http.Header) {
	n.dropRemoved()
	n.x.header(h, nil, -1, &n.out)
	n.head(n.rec.status)
	if held := n.rec.held; len(held) > 0 {
		n.watched.watch(n.x.c, n.x.w, int64(len(held))).Write(n.x.w, held)
		n.rec.held = nil
	}
}

func (n *run) finishPassed() {
	for name, values := range n.rec.trailers() {
		n.x.w.Header()[http.TrailerPrefix+name] = values
	}
	if n.said.failure() != nil && !n.lost && n.rec.written > 0 {
		panic(http.ErrAbortHandler) // it broke off: nobody may take it for whole
	}
	if n.said.silent() {
		n.kept = nil
	}
	if n.afterAll(); !n.after.last {
		n.keep(n.kept)
	}
}
