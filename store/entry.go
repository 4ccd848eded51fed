// Package store holds the nouns and the contracts of what a cache keeps: [Entry] and its codec,
// [Store] for entries, [Backend] for bytes, and [Journal] for invalidations.
package store

import (
	"net/http"
	"time"
)

// Entry is one stored response, or an index of the variants stored for one primary key. It is never
// modified once stored: a change is a new Entry. Headers and body are shared by all who read it.
type Entry struct {
	// Key is the text that the entry is stored under: a primary key or a variant key. It is
	// compared on every read, so that two keys that meet in a backend's shortened key never share
	// an entry.
	Key string
	// URI is the part of the key that names the resource: what an invalidation of a URL covers,
	// whatever headers, cookies or variants the key has besides. Empty means Key.
	URI string
	// Variants makes the entry an index: each element is the sorted, lower-case list of request
	// fields under which some response to this key is stored (RFC 9111 section 4.1). An empty inner
	// list stands for a response without Vary. Nil for a stored response.
	Variants [][]string

	Status int
	// without hop-by-hop fields; names in canonical form; what has no values is not sent
	Header  http.Header
	Trailer http.Header // nil when there was none
	Body    []byte

	// Vary holds the request fields that selected this response, as sent; nil when it did not vary.
	Vary http.Header
	Tags []string

	// Number is the journal's number when the handler began. An invalidation with a greater number
	// that covers the entry makes it unusable.
	Number uint64

	Requested, Received time.Time     // when the handler began, and when its header was complete
	Age                 time.Duration // corrected initial age at Received (RFC 9111 section 4.2.3)

	// The four durations that say what the entry is good for. Fresh counts from an age of 0; the
	// others count from the moment that freshness ended.
	Fresh time.Duration // freshness lifetime
	// may be served while a refresh runs (stale-while-revalidate)
	StaleWhileRevalidate time.Duration
	// may be served when the handler answers with an error (stale-if-error)
	StaleIfError time.Duration
	Retention    time.Duration // kept to be revalidated, or served when the handler is lost

	// MustRevalidate: not to be served stale (must-revalidate, proxy-revalidate, s-maxage,
	// no-cache), but within StaleWhileRevalidate, which stands beside it only for a response that
	// says s-maxage and stale-while-revalidate.
	MustRevalidate bool
	// Anonymous: only for requests that carry no credentials, because nothing in the response said
	// that it may be shared with others; its lifetime came from the operator's settings or a
	// heuristic.
	Anonymous bool
	// Announced: the cache wrote Cache-Control and Expires from the operator's settings; the
	// handler said nothing of them. A later update of the header must not take them for the
	// handler's word.
	Announced bool
	// MadeETag and MadeModified: the cache made that validator; the handler does not know it.
	MadeETag, MadeModified bool

	// Total and Spans describe a stored partial response (status 206, RFC 9111 section 3.3): the
	// complete length, and which bytes Body holds, one after the other: sorted, neither overlapping
	// nor adjacent. Spans is nil for a complete response.
	Total int64
	Spans []Span

	list fieldList // of Header, when the entry is Packed
	ends int64     // see Ends; Unix milliseconds, 0 when unknown
}

// Span is a range of bytes: from First up to, and not including, End.
type Span struct{ First, End int64 }

// Len returns the number of bytes in the span.
func (s Span) Len() int64 { return s.End - s.First }

// CurrentAge returns the entry's age at now (RFC 9111 section 4.2.3). While the machine sleeps, the
// monotonic clock of Linux stands still, and the wall clock may be set back: the one that has gone
// further counts.
func (e *Entry) CurrentAge(now time.Time) time.Duration {
	return e.Age + max(now.Sub(e.Received), now.Round(0).Sub(e.Received.Round(0)), 0)
}

// TTL returns how long after Received the entry is of use, for a store. It is 0 or less when the
// entry is of no use.
func (e *Entry) TTL() time.Duration {
	return e.Fresh + max(e.StaleWhileRevalidate, e.StaleIfError, e.Retention) - e.Age
}

// Ends returns when the store that the entry was read from expires it, to the millisecond, or the
// zero time if that is unknown, as for an entry from no store. A copy kept nearer must not be used
// from then on.
//
// Ends is about that store alone: a copy of the entry returns the same time, whatever the ttl of
// its own Set.
func (e *Entry) Ends() time.Time {
	if e.ends == 0 {
		return time.Time{}
	}
	return time.UnixMilli(e.ends)
}
