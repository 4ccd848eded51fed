package middleware

import (
	"crypto/rand"
	"maps"
	"net/http"
	"slices"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// decide commits before the handler has returned. When that settles the answer, the client need not
// wait for a handler that nobody listens to any more.
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
	if n.outOfTime() {
		n.f.GiveUp(reasonTimeout) // as expires does, which may come to it later than the handler
	}
	if n.strays() {
		n.f.GiveUp(reasonStalled)
	}
	h, removed := n.rec.response()
	n.removed = removed
	if n.out.FwdStatus = n.rec.status; n.said.failure() != nil {
		n.out.FwdStatus, n.out.Detail = 0, n.lostBy() // the origin did not write this page
	}
	n.noteForced(n.rec.received, n.failing())
	n.noteTry(n.fails())
	n.readTags(h)
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
	said := h
	if n.x.req.Class == rules.ClassHead && n.found.entry != nil {
		// what the cache announces to the client is no word of the handler's on what is stored
		said = maps.Clone(h)
	}
	rules.OriginOf(n.x.r, &n.x.outside).Tell(h)
	a, announced := n.admit(h, n.rec.status, final)
	if !a.Store {
		n.direct(h, said, final)
		return
	}
	stored := h
	// A map from which outer handlers' fields were taken keeps their room.
	if n.asStored = final && a.AsIs && len(n.rec.outer) == 0; !n.asStored {
		stored = rules.Storable(h, a.Strip)
		rules.NoteReplaced(stored, h, n.removed)
		if n.adopted && n.x.outside.ForAll {
			rules.NoteForAll(stored)
		}
	}
	e := n.entry(stored, a, n.rec.status)
	e.Announced = announced
	n.validators(h, e, final)
	n.x.account.keeps(e)
	n.share(h, e, final, a.Fresh > a.Age)
}

// fails reports whether the handler's answer is an error for which a stored response may stand in,
// and whether that is because the handler was lost.
func (n *run) fails() (failed, lost bool) {
	lost = n.said.failure() != nil
	return lost || rules.ServerError(n.rec.status), lost
}

// lostBy returns why there is no answer of the handler's.
func (n *run) lostBy() policy.Reason {
	if n.overdue.Load() {
		return reasonHard
	}
	return reasonLost
}

// standsIn reports whether the stored response is served in the place of the handler's error.
func (n *run) standsIn() bool {
	if !n.mayStandIn() {
		return false
	}
	v := n.found.verdict
	return v.OnError && rules.ServerError(n.rec.status) || v.OnLost && n.said.failure() != nil
}

// mayStandIn reports whether there is a whole stored response, which nobody has invalidated
// meanwhile.
func (n *run) mayStandIn() bool {
	if n.found.entry == nil || n.found.entry.Spans != nil {
		return false
	}
	return n.x.covered(n.found.entry) != invalidation.CoverageHard
}

// overtaken reports whether an invalidation of the response's URI or tags came since the handler
// began.
func (n *run) overtaken() bool {
	return n.x.c.coverageOf(n.f, n.x.req.URI, n.tags()) != invalidation.CoverageNone
}

// tags returns the tags of the response: those that its handler and policies name, the key's own,
// and those of the stored response that it renews.
func (n *run) tags() []string {
	return n.withInherited(n.said.tagged(n.x.req.Tag))
}

func (n *run) withInherited(tags []string) []string {
	if len(n.inherited) == 0 {
		return tags
	}
	return uniqueTags(slices.Concat(tags, n.inherited))
}

// admit judges the response, and writes into its header what the operator's settings say to
// clients.
func (n *run) admit(h http.Header, status int, final bool) (a rules.Admission, announced bool) {
	p, ttl, governed := n.x.wishesOf(h)
	if p != n.x.p {
		n.said.give(p.Tags)
	}
	n.sendTags(h)
	ttl = n.said.lifetime(ttl)
	a = rules.Admit(&n.x.req, status, n.x.outside.Judged(h), p, ttl, n.began, n.rec.received)
	n.admitFailure(&a, h, status, final)
	if why := n.refusal(&a, final); why != "" {
		a.Store, a.Reason, n.failure = false, why, false
	}
	n.x.account.judged(n, h, status, &a, ttl)
	governed = (governed || a.Store && n.said.namesTTL()) && !n.x.outside.Speaks()
	announced = rules.Announce(h, p, a, &n.x.req, ttl, governed, n.rec.received)
	n.x.announced = announced
	n.out.Stored = a.Store && n.found.broken == "" && !n.x.c.options.ReadOnly
	if a.Store && n.x.c.options.ReadOnly && n.out.Detail == "" {
		n.out.Detail = reasonReadOnly
	}
	n.x.account.announces(h, announced)
	if !a.Store && n.out.Detail == "" {
		n.out.Detail = a.Reason
	}
	if n.crowded && n.out.Detail == "" {
		n.out.Detail = reasonCrowded
	}
	return a, announced
}

// entry is the stored response to be, all but its body: with the header h, of which a was said.
func (n *run) entry(h http.Header, a rules.Admission, status int) *store.Entry {
	e := newEntry(&n.x.req, &a, status, h, n.began, n.rec.received)
	e.Tags, e.Number = n.tags(), n.f.Start.Number
	if rules.OriginOf(n.x.r, &n.x.outside).Splits(e.Header, a.Vary) {
		at, _ := slices.BinarySearch(a.Vary, "origin")
		a.Vary = slices.Insert(slices.Clip(a.Vary), at, "origin")
	}
	n.varies, n.strip = a.Vary, a.Strip
	if len(a.Vary) > 0 {
		e.Vary = rules.Nominated(a.Vary, n.x.selects(a.Vary))
	}
	switch {
	case n.failure:
		e.Key = rules.FailureKey(n.x.req.Key)
	case len(a.Vary) > 0 || n.found.indexed:
		e.Key = rules.VariantKey(n.x.req.Key, a.Vary, n.x.selects(a.Vary))
	}
	return e
}

// validators gives the response an ETag and a Last-Modified when the handler gave it neither. The
// tag is made from the content when all of it is there; a response that streams gets one by lot.
func (n *run) validators(h http.Header, e *store.Entry, final bool) {
	if n.x.p.NoValidators || e.Status != http.StatusOK &&
		e.Status != http.StatusNonAuthoritativeInfo {
		return
	}
	// in canonical form, which h may not be
	if e.Header["Etag"] != nil || e.Header["Last-Modified"] != nil {
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
