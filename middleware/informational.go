package middleware

import (
	"maps"
	"net/http"
	"time"
)

// informFor is how long those who wait for a response wait for the leader's client to take an
// informational one.
const informFor = 100 * time.Millisecond

// onInform passes an informational response to the leader's client. net/http sends it at once, and
// so waits for a client that does not read. The handler waits with it, because nobody else may
// touch the client's header; its run is then of no use to others, who run the handler without it.
// Nor is one whose client has left within it: what handlers outside have set with it, such as the
// cookie of the session that went into the page, is lost.
func (n *run) onInform(status int) {
	if n.x.r.Context().Err() != nil {
		return
	}
	header := n.x.w.Header()
	before := maps.Clone(header)
	hints := n.rec.Header()
	replace(header, hints)
	if !n.solo {
		patience := time.AfterFunc(informFor, func() { n.f.GiveUp(reasonStalled) })
		defer patience.Stop()
	}
	alone := bare(n.x.w) // nobody outside can set a field
	n.x.sendHeader(status)
	if n.x.r.Context().Err() != nil {
		// An HTTP/2 stream that is reset while it waits may leave its header to the connection's
		// goroutine.
		n.x.w, n.astray, n.unseen = &nowhere{header: http.Header{}}, true, n.unseen || !alone
		n.stray()
		return
	}
	n.lateHints(header, hints, before)
	replace(header, before)
}

// stray keeps a response from others whose client has left within an informational response, if
// handlers outside may have set fields with it; and the responses around, of which it is a part or
// the whole, and which lack it.
func (n *run) stray() {
	if n.unseen {
		n.f.GiveUp(reasonStalled)
	}
	for said := n.x.around; said != nil; said = said.around {
		if said.run != nil {
			said.run.f.GiveUp(reasonStalled)
		}
	}
}

// strays reports whether the run or one around it has lost what handlers outside set with an
// informational response.
func (n *run) strays() bool {
	if n.unseen {
		return true
	}
	for said := n.x.around; said != nil; said = said.around {
		if said.run != nil && said.run.unseen {
			return true
		}
	}
	return writesUnseen(n.x.w)
}

// writesUnseen reports whether a writer ends in the response of such a run, of which the context
// does not tell.
func writesUnseen(w http.ResponseWriter) bool {
	for {
		if rec, ok := w.(*recorder); ok {
			outer, is := rec.to.(*run)
			if is && outer.unseen {
				return true
			}
			w = rec.to.client()
			continue
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = inner.Unwrap()
	}
}

// replace makes h have the fields of other and no more.
func replace(h, other http.Header) {
	clear(h)
	maps.Copy(h, other)
}
