package middleware

import (
	"maps"
	"net/http"
	"time"
)

// informFor is how long those who wait for a response wait for the leader's client to take an informational one.
const informFor = 100 * time.Millisecond

// onInform passes an informational response to the leader's client. net/http sends it at once, and so waits for a
// client that does not read. The handler waits with it, because nobody else may touch the client's header; its
// run is then of no use to others, who run the handler without it.
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
	n.x.sendHeader(status)
	if n.x.r.Context().Err() != nil {
		// An HTTP/2 stream that is reset while it waits may leave its header to the connection's goroutine.
		n.x.w, n.astray = &nowhere{header: http.Header{}}, true
		return
	}
	n.lateHints(header, hints, before)
	replace(header, before)
}

// replace makes h have the fields of other and no more.
func replace(h, other http.Header) {
	clear(h)
	maps.Copy(h, other)
}
