package rules

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/freshet-go/freshet/store"
)

// maxSpans bounds how scattered a stored partial response may be. Every span more costs a copy of
// all that is held, and a client could ask for every other byte.
const maxSpans = 64

// Partial says which bytes a 206 holds, for Entry.Spans and Entry.Total (RFC 9111 section 3.3). Not
// ok: several parts, a Content-Range that is missing or malformed, or that does not say the
// complete length, or a body of another length than it says, which was cut. A 206 to a request with
// If-Range may lack fields that describe the representation (RFC 9110 section 15.3.7): do not store
// it by itself.
func Partial(h http.Header, body []byte) (spans []store.Span, total int64, ok bool) {
	span, total, ok := ParseContentRange(sole(h, "Content-Range"))
	if !ok || total == -1 || span.Len() != int64(len(body)) {
		return nil, 0, false
	}
	return []store.Span{span}, total, true
}

// storablePart reports whether a 206 is a part, and one part, of what was asked for, of a
// representation whose length is known. After an If-Range it may lack the fields that describe the
// whole (RFC 9110 section 15.3.7), so it cannot stand for itself.
func storablePart(req *Request, h http.Header) bool {
	return !req.IfRange && AnswersRange(req.Asked, h)
}

// Asked returns what the header of a GET asks for a part by: the value of its only Range field, if
// it has one.
func Asked(h http.Header) string { return sole(h, "Range") }

// AnswersRange reports whether a 206 with header h is one part of a representation of known length,
// and lies within one of the ranges of asked, the handler's only Range, which is empty where it got
// none. Ranges that nearly meet count as one (RFC 9110 section 15.3.7.2). A handler that answers
// with other bytes has answered another request, and nobody knows which.
func AnswersRange(asked string, h http.Header) bool {
	part, total, _ := ParseContentRange(sole(h, "Content-Range"))
	_, spans := selectSpans(asked, total) // none where the total is not known
	return slices.ContainsFunc(spans, func(s store.Span) bool {
		return s.First <= part.First && part.End <= s.End
	})
}

// saysPart reports whether a response that is no 206 has the fields of one. Its Content-Range means
// nothing (RFC 9110 section 14.4), but a handler that sent it had some of the bytes in mind.
func saysPart(h http.Header) bool {
	return len(h["Content-Range"]) > 0 || mediaType(h) == "multipart/byteranges"
}

// Complete returns the complete response, with status 200, that a partial response amounts to when
// it holds every byte (RFC 9110 section 15.3.7.3). Not ok when it does not; a complete one is
// returned as it is.
func Complete(e *store.Entry) (*store.Entry, bool) {
	if e.Spans == nil {
		return e, true
	}
	if !sound(e) || len(e.Spans) != 1 || e.Spans[0].Len() != e.Total {
		return nil, false
	}
	c := *e
	c.Status, c.Spans, c.Total = http.StatusOK, nil, 0
	c.Header = Storable(e.Header, []string{"Content-Range"})
	c.Header["Content-Length"] = []string{strconv.Itoa(len(e.Body))}
	return &c, true
}

// Combine makes one entry of a stored response, complete or partial, and a new partial response to
// the same key (RFC 9111 section 3.4): all the bytes that either holds, the header of old updated
// by that of new, and everything else new's; but the journal's number is the lesser, and the tags
// are those of both, so that whatever invalidates either invalidates the whole. Neither is
// modified. When nothing is missing any more, it is a complete response with status 200.
//
// Not ok, so that new stands for itself: the two do not share a strong validator of the handler's
// own making, or differ in length, encoding or the nonces of their policies, or the whole would be
// too scattered.
func Combine(old, new *store.Entry) (*store.Entry, bool) {
	if !Combinable(old, new) {
		return nil, false
	}
	c := *new
	c.Header = update(old, Storable(new.Header, made(new)))
	c.MadeETag, c.MadeModified = old.MadeETag, old.MadeModified
	c.Number = min(old.Number, new.Number)
	c.Tags = uniqueNames(slices.Concat(old.Tags, new.Tags))
	c.Anonymous = old.Anonymous || new.Anonymous
	if old.MustRevalidate {
		c.MustRevalidate, c.StaleWhileRevalidate = true, min(old.StaleWhileRevalidate,
			new.StaleWhileRevalidate)
	}
	if old.Spans == nil {
		c.Status, c.Body, c.Trailer, c.Spans, c.Total = old.Status, old.Body, old.Trailer, nil, 0
		return &c, true
	}
	if c.Spans = unite(old.Spans, new.Spans); len(c.Spans) > maxSpans {
		return nil, false
	}
	c.Body = make([]byte, held(c.Spans))
	place(c.Body, c.Spans, old)
	place(c.Body, c.Spans, new)
	if whole, ok := Complete(&c); ok {
		return whole, true
	}
	delete(c.Header, "Content-Range") // Spans say it; so does what is sent from them
	delete(c.Header, "Content-Length")
	return &c, true
}

// Combinable reports whether new is a part of what old is all or some of, so that [Combine] makes
// one entry of them, unless it would be too scattered.
func Combinable(old, new *store.Entry) bool {
	return old.Key == new.Key && combinable(old) && combinable(new) && new.Spans != nil &&
		wholeLength(old) == new.Total && sameRepresentation(old, new)
}

// joinShare is how many times as long as new parts the stored part may be that they are joined to.
const joinShare = 8

// WorthJoining reports whether new parts are worth that the stored part old, to which they are
// joined, is written anew: they are at least an eighth as long together, so that a part that grows
// by them is written a few times over in all, or nothing is missing any more.
func WorthJoining(old *store.Entry, parts []*store.Entry) bool {
	var added int64
	spans := old.Spans
	for _, e := range parts {
		added += held(e.Spans)
		spans = unite(spans, e.Spans)
	}
	return joinShare*added >= held(old.Spans) || len(spans) == 1 && spans[0].Len() == old.Total
}

// combinable reports whether e is a whole 200 or a sound partial response.
func combinable(e *store.Entry) bool {
	if e.Spans == nil {
		return e.Status == http.StatusOK && e.Variants == nil
	}
	return e.Status == http.StatusPartialContent && sound(e)
}

// sameRepresentation reports whether two responses share a strong validator, the nonces of their
// scripts and, where the newer says it, the encoding. A 206 to a request with If-Range need not repeat it.
func sameRepresentation(old, new *store.Entry) bool {
	validator := strongKnown(old)
	return validator != "" && validator == strongKnown(new) && sameNonces(old.Header, new.Header) &&
		(len(new.Header["Content-Encoding"]) == 0 ||
			slices.Equal(old.Header["Content-Encoding"], new.Header["Content-Encoding"]))
}

// made returns the names of the fields of e that the cache made: they say nothing of another entry.
func made(e *store.Entry) (names []string) {
	if e.MadeETag {
		names = append(names, "Etag")
	}
	if e.MadeModified {
		names = append(names, "Last-Modified")
	}
	return names
}
