package middleware

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// invalidate runs the handler of an unsafe request, and when it answers with no error (2xx or 3xx)
// invalidates the target URI and the URIs of the same origin in Location and Content-Location (RFC
// 9111 section 4.4): before the client can learn of the success, and once more when the handler has
// returned, for what was read while it finished its work. What may have changed something though it
// was not answered invalidates its target URI, where the RFC asks for nothing.
func (w *unsafeWriter) invalidate() {
	x := &w.x
	if x.within() {
		x.next.ServeHTTP(x.w, x.r)
		return
	}
	if w.refused() {
		return
	}
	w.watch, w.quiet, w.out.Fwd = w, x.quiet, policy.FwdMethod
	w.before, w.seen, w.began = x.c.journal.Head(), x.c.journal.Seen(), time.Now()
	if before := x.w.Header(); x.req.Class == rules.ClassPost && len(before) > 0 {
		w.outer, w.given, x.outside = before.Clone(), maps.Clone(before), rules.ReadOutside(before,
			x.p)
	}
	defer w.end()
	if w.unheard = unheard.Load(); w.mayStore() && x.who.hears.Load() {
		w.serveSpeaking()
	} else {
		w.serve(x.r)
	}
	w.finish()
}

// end is the last of the request, whatever became of it. A handler that panics after it has
// answered may have changed more since.
func (w *unsafeWriter) end() {
	if !w.finished {
		w.lost()
	}
	if w.marks != nil && !w.finished {
		w.x.invalidateNow(w.marks)
		w.out.Stored = false
	}
	if !w.quiet {
		w.observe()
	}
	if w.answer != nil {
		w.answer.release()
	}
}

// unsafeWriter watches the response to an unsafe request.
type unsafeWriter struct {
	passWriter
	left   bool // to a mount inside
	around bool // a mount inside has left it to this one
	asked  bool // the journal has taken a mark before the handler ran
	// the handler says that what it asked for the change gave no answer
	unanswered bool
	finished   bool         // the handler has returned
	unheard    uint32       // calls of FromContext in vain when the handler began
	also       []store.Mark // of that mount
	marks      []store.Mark
	room       [1]store.Mark // for marks
	named      []string      // the tags that the answer's header names
	before     uint64        // the journal's newest known number when the handler began
	seen       uint64        // ... up to which this process knew all marks
	marked     uint64        // ... when the header came
	began      time.Time
	// what outer handlers had put into the header, with the slices that the handler was given
	given  http.Header
	answer *answer // to a POST, if later GETs may have it
	speech *speech // of a POST's handler, if it may speak
}

// mayStore reports whether the answer is one to a POST that may turn out to be for later GETs.
func (w *unsafeWriter) mayStore() bool {
	x := &w.x
	return x.req.Class == rules.ClassPost && !x.off && x.req.Mount != "" &&
		!x.req.Directives.NoStore
}

func (w *unsafeWriter) onHeader(status int, h http.Header) {
	x := &w.x
	if !w.quiet {
		defer rules.HideTags(h, x.p)
	}
	failed := status > 399
	if status < 200 || failed && !w.unclear(status) || w.left {
		return
	}
	seesWebDAV{x.c, x.r}.onHeader(status, h)
	if x.req.URI == "" {
		return
	}
	own := h["Content-Location"] != nil
	names := own || h["Location"] != nil
	if failed {
		w.marks = w.mayHaveChanged()
	} else {
		w.marks = append(x.changes(w.room[:0], status, h, names), w.also...)
	}
	storable := own && !w.around && !x.c.options.ReadOnly && w.mayStore() &&
		status == http.StatusOK &&
		x.req.SelfLocation(h)
	owed := x.c.journal.Owes() // by what its handler has invalidated, say
	w.marked = x.invalidateNow(w.marks)
	w.tellUnsent(status, h)
	if storable && w.marked > 0 && x.c.journal.Appended(w.seen) == len(w.marks) {
		w.named = x.readTags(h)
		rules.HideTags(h, x.p)
		w.record(status, h)
	}
	w.tellWrite(h, owed)
}

// onHijack invalidates before the handler can tell its client of a success by itself.
func (w *unsafeWriter) onHijack() {
	if !w.wrote {
		w.onHeader(http.StatusOK, http.Header{})
	}
}

// changes returns the marks of what a change by this request covers: its target, and what its
// answer with the header h names, if it does, under all policies that are known. Who is redirected
// has changed no tree, and one whom 307 or 308 sends on with the same request nothing there yet.
func (x *exchange) changes(
	marks []store.Mark, status int, h http.Header, names bool,
) []store.Mark {
	under := x.c.under()
	if x.req.Sent != "" || len(under.folds) > 0 {
		var few [4]string
		marks = under.marks(marks, x.req.Names(few[:0], under.folds...))
	}
	marks = under.marks(marks, []string{x.req.URI})
	if x.arrivedAs != nil {
		marks = under.marks(marks, x.arrival.names(x.req.Scheme, under.folds...))
	}
	if status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect {
		names = false
	}
	if names {
		marks = under.marks(marks, x.req.Related(h, under.folds...))
		if len(under.replaces) > 0 {
			for _, u := range x.req.RelatedURLs(h) {
				marks = under.tags(marks, x.askFor(u))
			}
		}
	}
	if status < 300 {
		uris, below := x.req.Tree(x.r, x.c.webdav.load(), under.folds...)
		marks = under.marks(marks, uris)
		for _, prefix := range below {
			marks = appendMark(marks, store.Mark{Kind: store.MarkPrefix, Name: prefix})
		}
	}
	for _, group := range rules.InvalidatedGroups(h, x.req.URI) {
		marks = appendMark(marks, store.Mark{Kind: store.MarkTag, Name: group})
	}
	if x.req.Tag != "" {
		marks = appendMark(marks, store.Mark{Kind: store.MarkTag, Name: x.req.Tag})
	}
	return under.tags(marks, x.r)
}

// askFor makes the request by which the client of this one would get a URL that the response names.
func (x *exchange) askFor(u *url.URL) *http.Request {
	r := getOf(&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery,
		ForceQuery: u.ForceQuery})
	r.RequestURI, r.Host, r.TLS, r.Header = r.URL.RequestURI(), x.r.Host, x.r.TLS, x.r.Header
	return r
}

// invalidateNow appends the marks whatever becomes of the request: the change was made.
func (x *exchange) invalidateNow(marks []store.Mark) uint64 {
	ctx := context.Background()
	if x.c.journal.Shared() {
		ctx = context.WithoutCancel(x.r.Context()) // with what tracing has put there
	}
	number, err := x.c.journal.Append(ctx, marks) // the follower has said what went wrong
	x.tally.receipt = x.c.receipt(number, err)
	x.tally.receipt.ahead = x.c.tellInFront(ctx, marks, true, err)
	return number
}

// finish invalidates again, and stores the response to POST if nothing else was invalidated
// meanwhile.
func (w *unsafeWriter) finish() {
	w.finished = true
	if w.quiet && !w.wrote && !w.left {
		w.onHeader(http.StatusOK, w.Header()) // somebody outside answers, who knows how
	}
	if w.marks == nil {
		return
	}
	number := w.x.invalidateNow(w.marks)
	if number == 0 && !w.x.c.options.ReadOnly {
		w.out.Detail = reasonUnsent
	}
	w.out.Stored = false // until it is
	if w.answer == nil {
		return
	}
	if number > 0 && !w.failed && w.x.c.journal.Appended(w.marked) == len(w.marks) {
		w.out.Stored = w.answer.store(&w.x, number)
	}
	w.answer.last.release()
}
