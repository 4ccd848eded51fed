package middleware

import (
	"net/http"

	"github.com/freshet-go/freshet/store"
)

// MayHaveChanged says that a request may have changed something though its answer is an error: what
// the handler had asked to make the change gave no answer. A handler calls it with its own
// ResponseWriter, before it answers; one that is wrapped has an Unwrap method. Then a POST, PUT,
// DELETE or other unsafe method invalidates its URL in every Cache around the handler, as it does
// when it succeeds. For all other requests it does nothing.
//
//	proxy.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
//		middleware.MayHaveChanged(w)
//		w.WriteHeader(http.StatusBadGateway)
//	}
func MayHaveChanged(w http.ResponseWriter) {
	for w != nil {
		if pass, ok := w.(*passWriter); ok {
			if change, ok := pass.watch.(*unsafeWriter); ok {
				change.unanswered = true
			}
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = inner.Unwrap()
	}
}

// unclear reports whether the request may have changed something though it was answered with this
// error: its handler says so, or was given up, or did not wait for the end. All others tell that
// nothing was changed.
func (w *unsafeWriter) unclear(status int) bool {
	switch {
	case w.unanswered, status == http.StatusGatewayTimeout:
		return true
	case status >= 500, status == http.StatusRequestTimeout, status == statusClientClosed:
		return w.x.r.Context().Err() != nil
	}
	return false
}

// statusClientClosed is what nginx, and handlers after it, answer a client that has left.
const statusClientClosed = 499

// mayHaveChanged returns the marks of a change that may have been made: of the target alone, since
// nothing names more, and nobody shall empty a tree by a request that he gives up.
func (w *unsafeWriter) mayHaveChanged() []store.Mark {
	return append(w.x.changes(w.room[:0], http.StatusBadGateway, http.Header{}, false), w.also...)
}

// lost invalidates what a request may have changed whose handler has panicked without an answer.
func (w *unsafeWriter) lost() {
	if w.marks == nil && !w.wrote && !w.left && w.x.req.URI != "" {
		w.marks = w.mayHaveChanged()
	}
}
