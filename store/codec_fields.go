package store

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// The fields of an entry, in this order, without padding: numbers as varints (signed ones zigzag),
// texts as a length and bytes. Whatever may be nil has its count plus one, so that 0 is nil.

const (
	flagMustRevalidate = 1 << iota
	flagAnonymous
	flagMadeETag
	flagMadeModified
	flagAnnounced
	flagBody // Body is not nil

	flagsKnown = flagMustRevalidate | flagAnonymous | flagMadeETag | flagMadeModified | flagBody |
		flagAnnounced
)

func appendFields(b []byte, e *Entry) []byte {
	b = append(b, flags(e))
	b = binary.AppendUvarint(b, uint64(countStrings(e)))
	b = appendString(b, e.Key)
	b = appendString(b, e.URI)
	b = binary.AppendVarint(b, int64(e.Status))
	b = binary.AppendUvarint(b, e.Number)
	b = appendTime(b, e.Requested)
	b = appendTime(b, e.Received)
	for _, d := range [...]time.Duration{e.Age, e.Fresh, e.StaleWhileRevalidate, e.StaleIfError,
		e.Retention} {
		b = binary.AppendVarint(b, int64(d))
	}
	b = appendHeader(b, e.Header)
	b = appendHeader(b, e.Trailer)
	b = appendHeader(b, e.Vary)
	b = appendStrings(b, e.Tags)
	b = appendCount(b, len(e.Variants), e.Variants == nil)
	for _, fields := range e.Variants {
		b = appendStrings(b, fields)
	}
	b = binary.AppendVarint(b, e.Total)
	b = appendCount(b, len(e.Spans), e.Spans == nil)
	for _, s := range e.Spans {
		b = binary.AppendVarint(b, s.First)
		b = binary.AppendVarint(b, s.End)
	}
	return b
}

// decodeFields reads the fields of an entry whose body has so many bytes. The entry gets the stored
// body when that is the body itself.
func decodeFields(b, stored []byte, size int64) (*Entry, error) {
	d := decoder{b: b, s: string(b)}
	e := &Entry{}
	flags := d.byte()
	d.room = make([]string, min(d.uvarint(), uint64(len(b))))
	e.Key = d.string()
	e.URI = d.string()
	e.Status = int(d.varint())
	e.Number = d.uvarint()
	e.Requested = d.time()
	e.Received = d.time()
	for _, p := range [...]*time.Duration{&e.Age, &e.Fresh, &e.StaleWhileRevalidate,
		&e.StaleIfError, &e.Retention} {
		*p = time.Duration(d.varint())
	}
	e.Header = d.header()
	e.Trailer = d.header()
	e.Vary = d.header()
	e.Tags = d.list()
	if n, ok := d.count(1); ok {
		e.Variants = make([][]string, n)
		for i := range e.Variants {
			e.Variants[i] = d.list()
		}
	}
	e.Total = d.varint()
	if n, ok := d.count(2); ok {
		e.Spans = make([]Span, n)
		for i := range e.Spans {
			e.Spans[i] = Span{First: d.varint(), End: d.varint()}
		}
	}

	e.MustRevalidate = flags&flagMustRevalidate != 0
	e.Anonymous = flags&flagAnonymous != 0
	e.Announced = flags&flagAnnounced != 0
	e.MadeETag = flags&flagMadeETag != 0
	e.MadeModified = flags&flagMadeModified != 0
	switch {
	case flags&flagBody == 0:
	case size == 0:
		e.Body = []byte{} // an empty body keeps nothing of the input
	case size == int64(len(stored)):
		e.Body = stored[:len(stored):len(stored)]
	}
	switch {
	case d.failed, d.off != len(b), len(d.room) != 0, flags&^flagsKnown != 0, flags&flagBody == 0 &&
		size > 0:
		return nil, fmt.Errorf("%w: malformed fields", errCorrupt)
	case !spansFit(e, size):
		return nil, fmt.Errorf("%w: the spans do not fit the body", errCorrupt)
	}
	return e, nil
}

// spansFit reports whether the spans and a body of so many bytes are what Entry says of them, so
// that a range that is cut out of the body stays inside it.
func spansFit(e *Entry, size int64) bool {
	held, end := int64(0), int64(-1)
	for _, s := range e.Spans {
		if s.First <= end || s.End <= s.First {
			return false
		}
		held += s.Len()
		end = s.End
	}
	return len(e.Spans) == 0 || held == size && (e.Total < 0 || end <= e.Total)
}

func flags(e *Entry) (f byte) {
	for _, x := range [...]struct {
		set  bool
		flag byte
	}{
		{e.MustRevalidate, flagMustRevalidate},
		{e.Anonymous, flagAnonymous},
		{e.Announced, flagAnnounced},
		{e.MadeETag, flagMadeETag},
		{e.MadeModified, flagMadeModified},
		{e.Body != nil, flagBody},
	} {
		if x.set {
			f |= x.flag
		}
	}
	return f
}

// countStrings is how many strings stand in the entry's lists: the decoder makes room for all of
// them at once.
func countStrings(e *Entry) (n int) {
	for _, h := range [...]http.Header{e.Header, e.Trailer, e.Vary} {
		for _, values := range h {
			n += len(values)
		}
	}
	for _, fields := range e.Variants {
		n += len(fields)
	}
	return n + len(e.Tags)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendCount(b []byte, n int, isNil bool) []byte {
	if isNil {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(n)+1)
}

func appendStrings(b []byte, list []string) []byte {
	b = appendCount(b, len(list), list == nil)
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}

// appendHeader writes the fields sorted by name.
func appendHeader(b []byte, h http.Header) []byte {
	b = appendCount(b, len(h), h == nil)
	var room [32]string // on the stack: most headers have no more
	names := room[:0]
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendString(b, name)
		b = appendStrings(b, h[name])
	}
	return b
}
