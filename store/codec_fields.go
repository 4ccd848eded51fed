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

// fieldWriter writes the fields of an entry.
type fieldWriter struct {
	b []byte
	// compact: for this process alone, with short forms of usual texts (see compact.go)
	compact bool
	base    int64  // Unix nanoseconds, from which compact times count
	date    string // the last one that was written
	seconds int64  // ... in Unix seconds
}

func appendFields(b []byte, e *Entry) []byte {
	w := fieldWriter{b: b}
	w.entry(e)
	return w.b
}

func (w *fieldWriter) entry(e *Entry) {
	w.b = append(w.b, flags(e))
	w.uvarint(uint64(countStrings(e)))
	if !w.compact {
		w.string(e.Key)
	}
	w.uri(e)
	w.varint(int64(e.Status))
	w.uvarint(e.Number)
	w.time(e.Requested)
	w.time(e.Received)
	for _, d := range [...]time.Duration{e.Age, e.Fresh, e.StaleWhileRevalidate, e.StaleIfError,
		e.Retention} {
		w.duration(d)
	}
	if fields, ok := e.FieldsOf(e.Header); ok && w.compact {
		w.fields(fields)
	} else {
		w.header(e.Header)
	}
	w.header(e.Trailer)
	w.header(e.Vary)
	w.strings(e.Tags)
	w.count(len(e.Variants), e.Variants == nil)
	for _, fields := range e.Variants {
		w.strings(fields)
	}
	w.varint(e.Total)
	w.count(len(e.Spans), e.Spans == nil)
	for _, s := range e.Spans {
		w.varint(s.First)
		w.varint(s.End)
	}
}

// decodeFields reads the fields of an entry whose body has so many bytes. The entry gets the stored
// body when that is the body itself.
func decodeFields(b, stored []byte, size int64) (*Entry, error) {
	d := decoder{b: b, s: string(b)}
	e := &Entry{}
	flags := d.byte()
	d.room = make([]string, min(d.uvarint(), uint64(len(b))))
	d.entry(e)
	e.setFlags(flags)
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

// entry reads what stands behind the flags and the number of texts.
func (d *decoder) entry(e *Entry) {
	if !d.compact {
		d.key = d.string()
	}
	e.Key = d.key
	e.URI = d.string()
	e.Status = int(d.varint())
	e.Number = d.uvarint()
	e.Requested = d.time()
	e.Received = d.time()
	for _, p := range [...]*time.Duration{&e.Age, &e.Fresh, &e.StaleWhileRevalidate,
		&e.StaleIfError, &e.Retention} {
		*p = d.duration()
	}
	e.Header = d.ownHeader()
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
}

func (e *Entry) setFlags(flags byte) {
	e.MustRevalidate = flags&flagMustRevalidate != 0
	e.Anonymous = flags&flagAnonymous != 0
	e.Announced = flags&flagAnnounced != 0
	e.MadeETag = flags&flagMadeETag != 0
	e.MadeModified = flags&flagMadeModified != 0
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

func (w *fieldWriter) string(s string) {
	if w.compact {
		w.compactString(s)
		return
	}
	w.uvarint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *fieldWriter) uvarint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *fieldWriter) varint(v int64)   { w.b = binary.AppendVarint(w.b, v) }

func (w *fieldWriter) count(n int, isNil bool) {
	if isNil {
		w.b = append(w.b, 0)
		return
	}
	w.uvarint(uint64(n) + 1)
}

func (w *fieldWriter) strings(list []string) {
	w.count(len(list), list == nil)
	for _, s := range list {
		w.string(s)
	}
}

func (w *fieldWriter) duration(d time.Duration) {
	if w.compact {
		w.compactDuration(d)
		return
	}
	w.varint(int64(d))
}

func (w *fieldWriter) time(t time.Time) {
	if w.compact {
		w.compactTime(t)
		return
	}
	w.varint(t.Unix())
	w.uvarint(uint64(t.Nanosecond()))
}

// fields writes the fields of a header in any order, which costs less.
func (w *fieldWriter) fields(fields []Field) {
	w.count(len(fields), false)
	for i := range fields {
		w.string(fields[i].Name)
		w.strings(fields[i].Values)
	}
}

// header writes the fields sorted by name.
func (w *fieldWriter) header(h http.Header) {
	w.count(len(h), h == nil)
	var room [32]string // on the stack: most headers have no more
	names := room[:0]
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w.string(name)
		w.strings(h[name])
	}
}
