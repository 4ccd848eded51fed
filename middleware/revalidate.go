package middleware

import (
	"net/http"
	"slices"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

// serveStale answers with what is stored, in the place of an error (RFC 5861 section 4) or of a
// handler that is lost (RFC 9111 section 4.2.4).
func (n *run) serveStale() {
	n.become(substituted)
	n.removed = nil // by what it stands in for
	n.answer, n.own, n.kept = n.found.entry, nil, nil
	n.out.Stale, n.out.Stored = !n.renewsEarly(), false
	n.saysBehind()
	n.f.Decide(fill.Answer{Stage: fill.StageSettled, Entry: n.found.entry})
}

// freshen answers with what is stored and a 304 says is still good (RFC 9111 section 4.3.4). Where
// its Content-Security-Policy belongs to other content, the page is made anew: now, or else when it
// is stale again, and until then it goes on with the policy that it has.
func (n *run) freshen(h http.Header) {
	selects, anew := rules.Selects(n.found.entry, h), rules.AnotherPolicy(n.found.entry, h)
	switch {
	case selects && !anew:
	case mayRunAgain(n.x.r.Context()):
		n.become(retrying)
		return
	case selects:
		n.x.c.contrary.remember(n.x.req.Key, n.rec.received.Add(contraryFor), reasonLost)
	default:
		n.contradicted()
		return
	}
	// A 304 lacks the fields that describe the content: its handler has not removed them from what
	// it renews.
	n.removed = slices.DeleteFunc(n.removed, func(name string) bool { return len(h[name]) == 0 })
	n.renewed(rules.Freshen(rules.Unannounced(n.found.entry), h), n.found.entry, n.found.entry.Body)
}

// combine answers with the stored part and the part that the handler added (RFC 9111 section 3.4).
func (n *run) combine() {
	added := &store.Entry{
		Key: n.found.entry.Key, Status: http.StatusPartialContent, Header: rules.Storable(n.part,
			nil), Body: n.rec.held,
		Received: n.rec.received,
	}
	whole, ok := n.found.entry, false
	asked := rules.AnswersRange(n.x.req.Asked, added.Header)
	if added = n.partial(added); added != nil && asked && !n.rec.broken() {
		whole, ok = rules.Combine(rules.Unannounced(n.found.entry), added)
	}
	if !ok || whole.Spans != nil || !n.holdBody(whole) {
		n.become(retrying)
		return
	}
	n.renewed(whole.Header, n.found.entry, whole.Body)
}

// maxRenewedTags is how many tags a stored response may have that is validated, and keeps them: one
// whose handler names others each time is made anew once it has more.
const maxRenewedTags = 256

// renewed answers with a new entry made of an old one and what the handler said of it. Its body, or
// some of it, is the old one's: so it keeps the old one's tags beside those that the handler names
// now.
func (n *run) renewed(h http.Header, old *store.Entry, body []byte) {
	n.inherited = old.Tags
	n.become(substituted)
	status := old.Status
	if status == http.StatusPartialContent {
		status = http.StatusOK
	}
	good := n.storableForOthers(status, h)
	a, announced := n.admit(h, status, false)
	e := n.successor(old, h, a, status)
	e.Body, e.Announced = body, announced
	n.answer, n.own = e, h
	switch {
	case !a.Store:
		if !good {
			n.x.c.remove(n.x.r.Context(), old)
		}
		n.pass()
	case a.Fresh > a.Age:
		n.kept = e
		n.offer(e, false)
	case n.saysNothingNew(e):
		n.pass()
		n.x.c.passes.forget(n.found.flight) // as when it is stored
		n.x.c.latest.note(e.Key, n.began, time.Now())
		n.out.Stored = false
	default:
		n.kept = e
		n.pass()
	}
}

// saysNothingNew reports whether e, which a validation made of what was found, need not be written
// to the server: what is there serves as well. It has the lesser number and the earlier date, so
// that nothing takes it for newer than it is.
func (n *run) saysNothingNew(e *store.Entry) bool {
	old := &n.found
	return !n.x.c.local && old.entry != nil && old.coverage == invalidation.CoverageNone &&
		rules.SaysNothingNew(old.entry, e)
}

// successor returns the entry that takes the place of old, all but its body, with the header h, as
// a admitted it.
func (n *run) successor(
	old *store.Entry, h http.Header, a rules.Admission, status int,
) *store.Entry {
	e := n.entry(rules.Storable(h, a.Strip), a, status)
	e.Trailer, e.MadeETag, e.MadeModified = without(old.Trailer, a.Strip), old.MadeETag,
		old.MadeModified
	return e
}

// storableForOthers reports whether a response that may not be stored for this request may be for
// one that has no credentials and no wishes: then what is stored is as good as it was.
func (n *run) storableForOthers(status int, h http.Header) bool {
	a := n.admitForOthers(status, h)
	return a.Store
}

func (n *run) admitForOthers(status int, h http.Header) rules.Admission {
	p, ttl, _ := n.x.wishesOf(h)
	return rules.Admit(n.x.req.Anyone(), status, n.x.outside.Judged(h), p, ttl, n.began,
		n.rec.received)
}

// partial completes the description of a stored partial response from its Content-Range (RFC 9111
// section 3.3), or returns nil when it cannot be used.
func (n *run) partial(e *store.Entry) *store.Entry {
	spans, total, ok := rules.Partial(e.Header, e.Body)
	if !ok {
		return nil
	}
	whole := *e
	whole.Spans, whole.Total = spans, total
	whole.Header = e.Header.Clone()
	delete(whole.Header, "Content-Range")
	delete(whole.Header, "Content-Length")
	return &whole
}

// updateFromHead updates or drops what is stored by the answer to a HEAD (RFC 9111 section 4.3.5).
func (n *run) updateFromHead(h http.Header) {
	old := n.found.entry
	if old == nil || old.Spans != nil || n.found.verdict.Use == rules.UseMiss {
		return
	}
	header, invalid := rules.HeadUpdate(rules.Unannounced(old), n.rec.status, h)
	if invalid && !n.suspect() {
		n.dropByHead(old)
	}
	if header == nil {
		return
	}
	get := n.x.req
	get.Class = rules.ClassRead
	p, ttl, governed := n.x.wishesOf(header)
	a := rules.Admit(&get, old.Status, n.x.outside.Judged(header), p, ttl, n.began, n.rec.received)
	if !a.Store {
		// A cookie for the client of the HEAD, a monitor's say, leaves the page as it is.
		if b := n.admitForOthers(old.Status, header); !b.Store && !b.OfClient() {
			n.dropByHead(old)
		}
		return
	}
	announced := rules.Announce(header, p, a, &get, ttl, governed && !n.x.outside.Speaks(),
		n.rec.received)
	n.inherited = old.Tags
	e := n.successor(old, header, a, old.Status)
	e.Body, e.Announced = old.Body, announced
	if !n.saysNothingNew(e) {
		n.kept = e
	}
}

// dropByHead removes what the answer to a HEAD shows to be out of date, unless it found something
// older than what is stored now.
func (n *run) dropByHead(old *store.Entry) {
	if !n.outrun(old.Key) {
		n.x.c.remove(n.x.r.Context(), old)
	}
}

// outrun reports whether another run has stored, under the key, what is newer than the response
// that a HEAD found: then the HEAD's answer says nothing of it, or what it was before.
func (n *run) outrun(key string) bool {
	old := n.found.entry
	if old == nil || n.x.req.Class != rules.ClassHead {
		return false
	}
	e := n.x.ask(tier.SkipNear(n.x.r.Context()), key, &found{})
	return e != nil && e.Variants == nil && e.Received.After(old.Received)
}
