package middleware

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// answer is a response to POST that later GETs may have, while its client gets it.
type answer struct {
	w        *unsafeWriter
	entry    *store.Entry // nil when it turned out to be too long
	body     []byte
	granted  int64 // of the cache's budget, for body
	declared int64
	last     *lastByte // ... which its client gets when the rest is stored
	sent     rules.Sent
	way      *passage // of the header to the gate, if there is one
}

// record begins to keep a response to POST that names itself the representation of the target URI
// (RFC 9110 section 9.3.3): it has explicit freshness and a Content-Location that is the target.
func (w *unsafeWriter) record(status int, h http.Header) {
	x := &w.x
	now := time.Now()
	if h["Date"] == nil {
		h["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	again := saidAgain(h, w.given)
	if slices.Contains(again, "Vary") {
		return // it varies
	}
	h = h.Clone()
	removed := subtract(h, w.outer, again)
	p, _, _ := x.wishesOf(h)
	a := rules.Admit(&x.req, status, x.outside.Judged(h), p, 0, w.began, now)
	// the handler's own Content-Location
	if !a.Store || w.silenced() || x.outside.Alone() != "" || len(a.Vary) > 0 ||
		!x.req.SelfLocation(h) {
		return
	}
	keep := &answer{w: w, declared: -1}
	if v := h["Content-Length"]; len(v) == 1 {
		keep.declared, _ = strconv.ParseInt(v[0], 10, 64)
	}
	keep.entry = newEntry(&x.req, &a, status, rules.Storable(h, a.Strip), w.began, now)
	rules.NoteReplaced(keep.entry.Header, h, removed)
	w.out.Stored = keep.declared >= 0 && keep.declared <= x.maxBody() && keep.entry.Size()+
		keep.declared <= x.c.room.most
	if keep.declared > 0 {
		keep.last = &lastByte{ResponseWriter: w.x.w, left: keep.declared}
		w.x.w = keep.last
	}
	w.answer, w.listen = keep, keep
}

// onSend implements listener.
func (k *answer) onSend() {
	x := &k.w.x
	k.sent = rules.SentWith(k.w.Header(), x.p)
	if g := x.gate(); g != nil {
		k.way = g.expect(&passage{status: k.entry.Status, sent: k.sent, p: x.p, e: k.entry})
	}
}

// onBody implements listener.
func (k *answer) onBody(p []byte) {
	if k.entry == nil {
		return
	}
	if int64(len(k.body)+len(p)) > k.w.x.maxBody() || !k.w.x.c.fills.Budget.Take(int64(len(p))) {
		k.entry, k.body = nil, nil
		return
	}
	k.granted += int64(len(p))
	k.body = append(k.body, p...)
}

// store stores the response under the number of the journal's last mark of this change, and says
// whether it did.
func (k *answer) store(x *exchange, number uint64) bool {
	e := k.entry
	if e == nil || k.w.silenced() || k.late() || k.broken() {
		return false
	}
	e.Number, e.Body, e.Tags = number, k.body, k.w.tags()
	x.sendTags(e.Header, e.Tags, k.w.words())
	addType(e.Header, k.w.outer, e.Body)
	setLength(e.Header, len(e.Body))
	return x.c.fits(e) && x.c.set(x.r.Context(), e) == nil
}

// broken reports whether the answer is not, or may not be, whole: see recorder.broken.
func (k *answer) broken() bool {
	if k.declared >= 0 {
		return k.w.erred || k.declared != int64(len(k.body))
	}
	return k.w.erred || k.w.x.r.Context().Err() != nil
}

// late reports whether a field appeared while the header was sent that makes the response one for
// its client alone, as a session's cookie does.
func (k *answer) late() bool {
	if k.way != nil {
		if k.way.held() {
			return true
		}
		why, _ := k.way.objection()
		return why != ""
	}
	x := &k.w.x
	outside := k.sent.Late(k.w.Header(), x.p)
	return outside.Objects(k.entry, x.p, time.Now()) != ""
}

func (k *answer) release() { k.w.x.c.fills.Budget.Give(k.granted) }
