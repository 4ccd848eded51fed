package middleware

import (
	"net/http"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// newEntry returns the stored response to be, all but its body: with the header h, as a admitted
// it. requested is when its handler began, received when its header was complete.
func newEntry(
	q *rules.Request, a *rules.Admission, status int, h http.Header, requested, received time.Time,
) *store.Entry {
	return &store.Entry{
		Key: q.Key, URI: q.URI, Status: status, Header: h, Requested: requested, Received: received,
		Age: a.Age, Fresh: a.Fresh, StaleWhileRevalidate: a.StaleWhileRevalidate,
		StaleIfError:   a.StaleIfError,
		Retention:      a.Retention,
		MustRevalidate: a.MustRevalidate, Anonymous: a.Anonymous,
	}
}

// sniffed is how much of a body tells its type.
const sniffed = 512

// addType adds the Content-Type that net/http would add to h: one that begin, the beginning of the
// body, tells, unless the handler or one outside has set one, or the body is in a coding.
func addType(h, outer http.Header, begin []byte) {
	_, there := h["Content-Type"]
	if there || outer["Content-Type"] != nil || len(begin) == 0 ||
		h.Get("Content-Encoding") != "" || h["Transfer-Encoding"] != nil {
		return
	}
	h["Content-Type"] = []string{http.DetectContentType(begin)}
}

// setLength sets the length of a whole body.
func setLength(h http.Header, length int) {
	var buf [20]byte
	text := strconv.AppendInt(buf[:0], int64(length), 10)
	if said := h["Content-Length"]; len(said) != 1 || said[0] != string(text) {
		h["Content-Length"] = []string{string(text)}
	}
}
