package middleware

import (
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// A handler outside the cache may put fields into the header only as it is written: a session middleware wraps
// the client's writer, and its WriteHeader sets the cookie of a session that the page was made with. Such a
// page is for its client alone. So where the client's writer is not the server's own, a run first sends its
// client the header, looks at what has appeared there, and only then gives the response to others and to
// the store. Sending a header waits for no client.

// pending is what a run has for others once its own client's header has been sent.
type pending struct {
	answer *store.Entry // what those who wait may have; nil when nothing
	flows  bool         // ... as it comes
	stores bool         // a whole response: it is stored then, too

	departs bool // ... or found on its way to the store

	sent    policy.Sent
	looked  bool
	trusted bool // nobody outside can set a field now: there is nothing to look at
}

// offer gives those who wait the answer e, which flows or is whole, as soon as that is safe.
func (n *run) offer(e *store.Entry, flows bool) {
	n.after.answer, n.after.flows = e, flows
	if n.after.trusted = bare(n.w); n.after.trusted {
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
	n := x.leading
	if n == nil || n.after.trusted || n.after.answer == nil && n.kept == nil {
		x.w.WriteHeader(status)
		return
	}
	n.after.sent, n.after.looked = policy.SentWith(x.w.Header()), true
	x.w.WriteHeader(status)
	if n.late() {
		return
	}
	n.give()
	if n.after.stores {
		n.store()
	}
	if n.after.departs {
		n.depart(n.kept)
	}
}

// late says whether a field has appeared that makes the response one for its client alone, and then keeps it from
// all others.
func (n *run) late() bool {
	if !n.after.looked {
		return false
	}
	e := n.kept
	if e == nil {
		e = n.after.answer
	}
	if e == nil {
		return false
	}
	outside := n.after.sent.Late(n.w.Header(), n.p)
	why := outside.Objects(e, n.p, time.Now())
	if why == "" {
		return false
	}
	n.out.Stored, n.out.Detail = false, why
	n.kept, n.after.answer, n.after.stores, n.after.departs = nil, nil, false, false
	n.arrived()
	n.f.letGo()
	n.pass()
	n.c.tellOfLate(n.r, why)
	return true
}

// lateAfterAll looks once more when the client has been served: a writer between, such as a compressor's, may have
// held the header back until the body came. Those who asked meanwhile have read along, so it says so.
func (n *run) lateAfterAll() {
	if e := n.kept; e != nil && n.late() {
		n.remove(e.Key)
	}
}

// lateHints keeps what has appeared in the header while an informational response was sent, of which it was hints: a
// session middleware that takes that for the response sets its cookie now or never. before is the header that the
// final response begins with.
func (n *run) lateHints(header, hints, before http.Header) {
	for name, values := range header {
		if old := hints[name]; len(values) > len(old) && slices.Equal(values[:len(old)], old) {
			before[name] = slices.Concat(before[name], values[len(old):])
			n.outside = policy.ReadOutside(before, n.p)
		}
	}
}

// letGo keeps no more of the body than its one reader needs.
func (f *fill) letGo() {
	f.mu.Lock()
	f.limit = 0
	f.mu.Unlock()
}

// bare says whether a writer is the server's own, or of ours, so that writing the header adds nothing to it.
func bare(w http.ResponseWriter) bool {
	switch w := w.(type) {
	case *nowhere, *recorder:
		return true
	case *guarded:
		return bare(w.ResponseWriter)
	case *passed:
		return bare(w.ResponseWriter)
	}
	t := reflect.TypeOf(w)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "net/http" || t.PkgPath() == "golang.org/x/net/http2"
}

// tellOfLate logs, once, that handlers outside set fields too late to be judged with the response.
func (c *Cache) tellOfLate(r *http.Request, why policy.Reason) {
	c.toldOfLate.Do(func() {
		c.Log.Warn("freshet: a handler outside the cache changed the header of a response while it was written, as session middleware does that sets its cookie only then: "+
			"the response was kept from others and not stored. Mount the cache outside of that handler, or, if no page depends on it, set Policy.Shared. "+
			"Wrap the whole app in Cache.Guard, so that no cache on the way keeps such a response", "path", r.URL.Path, "reason", string(why))
	})
}
