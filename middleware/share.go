package middleware

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// share lets the readers have the response as far as they may. A response that is stored but not
// fresh (no-cache) is for the leader alone: the next request has to validate it.
func (n *run) share(h http.Header, e *store.Entry, final, fresh bool) {
	if n.solo {
		n.unlinked() // it is worth storing, whether its client stays or not
	}
	partial := e.Status == http.StatusPartialContent
	shareable := fresh && !partial && n.x.req.Class == rules.ClassRead
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
			e.Tags = n.withInherited(n.said.flow(n.x.req.Tag))
			n.offer(e, true)
		} else {
			n.pass()
		}
		n.pump(h, e.MadeModified)
		return
	}
	if !shareable {
		n.pass()
	}
}

// settle gives the readers a whole answer. Those that turn out to want another variant look again,
// and must then find the index.
func (n *run) settle(e *store.Entry) {
	n.index(e)
	n.saysBehind()
	n.f.Decide(fill.Answer{Stage: fill.StageSettled, Entry: e})
	if n.instead != nil {
		n.f.TakeOver(n.instead) // the store does not have e yet
		n.instead.Replace(fill.Answer{Stage: fill.StageSettled, Entry: e, Why: reasonWaited})
	}
}

// open lets readers in: those that wait, and those that ask for this variant from now on.
func (n *run) open(e *store.Entry) {
	if n.instead != nil {
		defer n.instead.GiveUp(reasonWaited) // those who wait for it come to this one
		n.f.TakeOver(n.instead)
	}
	if e.Key != n.found.flight || n.solo {
		n.f.Alias(e.Key)
	}
	n.saysBehind()
	n.f.Decide(fill.Answer{Stage: fill.StageFlowing, Entry: e})
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
	// which says nothing of what another run would answer
	late := n.f.GivenUp() != "" || n.rec.left || n.rec.failed != 0 || why == reasonOutdated
	if !n.solo && !n.ownFault() && !late && !n.x.c.outdated(n.f) {
		lasts := passFor
		if n.rec.status >= 400 {
			lasts = passForError
		}
		n.x.c.passes.remember(n.found.flight, time.Now().Add(lasts), why) // before the fill goes
		n.staysInFront(why)
	}
	n.f.Decide(fill.Answer{Stage: fill.StagePrivate, Why: why})
	n.lease.end(false)
	if n.instead != nil && n.x.req.Class == rules.ClassRead && !n.ownFault() && !n.suspect() &&
		!late {
		n.instead.Replace(fill.Answer{Stage: fill.StagePrivate, Why: why})
	}
}

// ownFault reports whether the response is private because of this request: its credentials, its
// wish, or what made the handler refuse what it has answered others.
func (n *run) ownFault() bool {
	if n.x.req.Credentials && !n.x.p.Shared || n.x.req.Directives.NoStore {
		return true
	}
	return n.rec.status >= 400 && n.found.entry != nil && n.found.verdict.Use != rules.UseMiss ||
		n.suspect()
}

// direct hands the response to the leader's client alone, as the handler makes it. said is what its
// header said before the cache wrote into it, where a HEAD may renew what is stored.
func (n *run) direct(h, said http.Header, final bool) {
	n.handsOver(h)
	n.pass()
	switch {
	case n.rec.left: // it says nothing of what is stored
	case n.x.req.Class == rules.ClassHead:
		n.updateFromHead(said)
	default:
		n.dropOutdated(h)
	}
	if n.asks != asSent && n.x.req.Conditional && n.rec.status == http.StatusOK &&
		rules.NotModified(n.x.r.Header, h, false, n.rec.received) {
		n.become(substituted)
		n.answer, n.own = &store.Entry{Status: http.StatusNotModified}, h
		return
	}
	n.become(passing)
	if final && n.lacksLength(h) {
		h["Content-Length"] = []string{strconv.Itoa(len(n.rec.held))}
	}
	n.send(h)
	// Nobody else has a use for this run any more: it ends with its client.
	n.unlinked()
	n.unlink = context.AfterFunc(n.x.r.Context(), n.cancel)
}

// lacksLength reports whether a whole body may be sent with its length, which the header h does not
// name.
func (n *run) lacksLength(h http.Header) bool {
	return bodyAllowed(n.rec.status) && n.x.req.Class != rules.ClassHead && n.rec.declared < 0 &&
		n.rec.trailers() == nil && h["Content-Length"] == nil && h["Transfer-Encoding"] == nil
}

// send writes the header of a response that is passed on, and what was held back of its body.
func (n *run) send(h http.Header) {
	n.dropRemoved()
	n.x.header(h, nil, -1, &n.out)
	n.hands.sentWith(n.x.w.Header())
	n.collect(n.rec.held)
	n.head(n.rec.status)
	if held := n.rec.held; len(held) > 0 {
		n.watched.write(n.x.c, n.x.w, held)
		n.rec.held = nil
	}
}
