package rules

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/freshet-go/freshet/store"
)

// Selects reports whether a 304 with header h, the answer to a revalidation of e by [Forward],
// speaks of e (RFC 9111 section 4.3.4). If not, e may not be updated or reused, and the handler is
// to be run again without conditions.
//
// A strong entity tag in h must be e's own. Failing that, a weak one must match, or, without any, a
// Last-Modified. A 304 without validators speaks of e, though the RFC grants that only to a stored
// response without validators: many handlers send it, and they were asked about this one only.
func Selects(e *store.Entry, h http.Header) bool {
	etag, modified := known(e)
	if lines := h["Etag"]; len(lines) > 0 {
		want := parseTag(sole(h, "Etag"))
		if !want.weak || etag != "" {
			have := parseTag(etag)
			return want.weakly(have) && (want.weak || !have.weak)
		}
	}
	if lines := h["Last-Modified"]; len(lines) > 0 {
		return len(lines) == 1 && modified != "" && sameDate(lines[0], modified, e)
	}
	return len(h["Etag"]) == 0
}

// sameDate reports whether a text is an HTTP-date, and the same as e's modified, which is one and
// may be written in another form.
func sameDate(text, modified string, e *store.Entry) bool {
	a, ok := ParseDate(text, e.Received)
	b, _ := ParseDate(modified, e.Received)
	return ok && a.Equal(b)
}

// Freshen returns the header that e has after a 304 with header h: every field of h takes the place
// of e's, the others stay (RFC 9111 section 3.2). Whether the result may be stored is judged anew
// by [Admit]: a 304 may bring a Set-Cookie or a no-store.
//
// Not taken over are fields that are never stored, those that the stored content depends on
// (Content-Length, Content-Encoding, Content-Range, ETag), those that are [Tied] to the content
// that they were sent with, and, where the cache made it, Last-Modified. A tag that the cache made
// from the content is made again when a field that describes the content changes. Date and Age are
// those of h or none, since e's tell of another time.
func Freshen(e *store.Entry, h http.Header) http.Header {
	fresh := update(e, h)
	if e.MadeETag && e.Spans == nil && slices.ContainsFunc(describing[:], func(name string) bool {
		return !slices.Equal(fresh[name], e.Header[name])
	}) {
		fresh["Etag"] = []string{MakeETag(fresh, e.Body)}
	}
	return fresh
}

func update(e *store.Entry, h http.Header) http.Header {
	fresh := Storable(e.Header, []string{"Age", "Date"})
	h = Canonical(h)
	for name, values := range Storable(h, HopByHop(h)) {
		if Tied(name, values) || Tied(name, fresh[name]) {
			continue
		}
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range":
			continue
		case "Etag":
			if len(fresh[name]) > 0 {
				continue
			}
		case "Last-Modified":
			if e.MadeModified {
				continue
			}
		}
		fresh[name] = values
	}
	return fresh
}

// SaysNothingNew reports whether renewed, which a validation made of e, differs from e in nothing
// but dates and ages, and need not be stored: neither has a lifetime, so that the next request
// validates it anyway. Once half of the time is over that e is kept for, it is stored after all.
func SaysNothingNew(e, renewed *store.Entry) bool {
	return e.Key == renewed.Key && e.Status == renewed.Status &&
		sameBytes(e.Body, renewed.Body) &&
		e.Spans == nil && renewed.Spans == nil && e.Fresh <= 0 && renewed.Fresh <= 0 &&
		e.StaleWhileRevalidate == 0 && renewed.StaleWhileRevalidate == 0 &&
		e.StaleIfError == 0 && renewed.StaleIfError == 0 && e.Retention == renewed.Retention &&
		e.MustRevalidate == renewed.MustRevalidate && e.Anonymous == renewed.Anonymous &&
		e.Announced == renewed.Announced && e.MadeETag == renewed.MadeETag &&
		e.MadeModified == renewed.MadeModified &&
		maps.EqualFunc(e.Vary, renewed.Vary, slices.Equal) &&
		maps.EqualFunc(e.Trailer, renewed.Trailer, slices.Equal) &&
		sameNames(e.Tags, renewed.Tags) && sameButDates(e.Header, renewed.Header) &&
		renewed.Received.Sub(e.Received) < e.TTL()/2
}

// sameBytes reports whether two bodies lie at the same place: then they need not be compared.
func sameBytes(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// sameNames reports whether two lists have the same members, in whatever order.
func sameNames(a, b []string) bool {
	missing := func(in []string) func(string) bool {
		return func(name string) bool { return !slices.Contains(in, name) }
	}
	return !slices.ContainsFunc(a, missing(b)) && !slices.ContainsFunc(b, missing(a))
}

// sameButDates reports whether two headers differ in nothing but when they were made.
func sameButDates(a, b http.Header) bool {
	dates := []string{"Age", "Date", "Expires"}
	return maps.EqualFunc(Storable(a, dates), Storable(b, dates), slices.Equal)
}

// HeadUpdate says what the answer to a HEAD, by the handler, means for the stored response e to GET
// (RFC 9111 section 4.3.5): fresh, when it is not nil, is the header that e has from now on, to be
// judged by [Admit] like that of a 304; invalid means that e is to be treated as stale.
//
// Only a 200 whose validators and length are e's updates it. Another validator or length, or a 404
// or 410, makes it invalid; other errors say nothing of e, and many handlers answer HEAD with 405
// or 501. A 200 with no validator at all updates nothing, where the RFC would allow it: its length
// alone does not show that the content is still the same, and a monitor that asks HEAD every minute
// would keep an old page alive for ever. Nor does one with [AnotherPolicy].
//
// Lengths are not compared where e has a Content-Encoding and the HEAD has none: what compresses a
// body has none to compress, and the length is that of what was not compressed.
func HeadUpdate(e *store.Entry, status int, h http.Header) (fresh http.Header, invalid bool) {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return nil, e.Status != status
	case http.StatusOK:
	default:
		return nil, false
	}
	if e.Status != http.StatusOK && e.Status != http.StatusPartialContent {
		return nil, true
	}
	h = Canonical(h)
	etag, modified := known(e)
	tags, dates, lengths := h["Etag"], h["Last-Modified"], h["Content-Length"]
	if len(h["Content-Encoding"]) == 0 && len(e.Header["Content-Encoding"]) > 0 {
		lengths = nil
	}
	same := (len(tags) == 0 || parseTag(sole(h, "Etag")).weakly(parseTag(etag))) &&
		(len(dates) == 0 || modified != "" && sameDate(sole(h, "Last-Modified"), modified, e)) &&
		(len(lengths) == 0 || sole(h, "Content-Length") == strconv.FormatInt(wholeLength(e), 10))
	if !same {
		return nil, true
	}
	if len(tags) == 0 && len(dates) == 0 || AnotherPolicy(e, h) {
		return nil, false
	}
	return Freshen(e, h), false
}

// wholeLength is the length of the complete representation that e is all or some of.
func wholeLength(e *store.Entry) int64 {
	if e.Spans != nil {
		return e.Total
	}
	return int64(len(e.Body))
}
