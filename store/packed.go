package store

import (
	"net/http"
	"reflect"
	"strings"
	"unsafe"
)

// Packed returns a copy of the entry that lies together in memory: one piece of text for the key
// and all values, one list for all values' places, a header map without spare room. An entry that
// is made field by field is some thirty pieces; packed it is nine. That is what the garbage
// collector has to visit for each entry at each cycle, and what a hit has to fetch from memory.
// Only the body is shared with e, so that of a decoded entry nothing else stays behind.
func (e *Entry) Packed() *Entry { return e.packed(nil) }

// Pack is Packed, for an entry whose header nobody else has and nobody needs: its map becomes the
// packed entry's.
func (e *Entry) Pack() *Entry { return e.packed(e.Header) }

// packed puts the packed fields into header, a new one if that is nil.
func (e *Entry) packed(header http.Header) *Entry {
	var few [16]piece
	var sum size
	pieces := sum.take(few[:0], e.Header)
	ownPieces := len(pieces)
	pieces = sum.take(pieces, e.Trailer)
	trailerPieces := len(pieces)
	pieces = sum.take(pieces, e.Vary)

	packed, fields, room := newBlock(ownPieces, sum.values)
	p := packer{room: room}
	p.text.Grow(sum.bytes + len(e.Key))
	*packed = *e
	packed.Key = p.string(e.Key)
	if i := strings.Index(e.Key, e.URI); i >= 0 {
		packed.URI = packed.Key[i : i+len(e.URI)]
	} else {
		packed.URI = strings.Clone(e.URI)
	}
	packed.Tags = cloned(e.Tags)
	if e.Variants != nil {
		packed.Variants = make([][]string, len(e.Variants))
		for i, fields := range e.Variants {
			packed.Variants[i] = cloned(fields)
		}
	}
	fields = p.fields(fields, pieces[:ownPieces])
	packed.Header = asHeader(e.Header, header, fields)
	packed.Trailer = asHeader(e.Trailer, nil, p.fields(nil, pieces[ownPieces:trailerPieces]))
	packed.Vary = asHeader(e.Vary, nil, p.fields(nil, pieces[trailerPieces:]))
	packed.list = fieldList{fields, identity(packed.Header)}
	return packed
}

// block is an entry and what lists of it, when they are short: in one piece of memory, which is
// fetched in one go.
type block struct {
	Entry
	fields [12]Field
	values [12]string
}

// newBlock returns an entry and lists for so many fields of its header and values of all headers.
func newBlock(fields, values int) (*Entry, []Field, []string) {
	if b := (*block)(nil); fields > len(b.fields) || values > len(b.values) {
		return new(Entry), make([]Field, 0, fields), make([]string, 0, values)
	}
	b := new(block)
	return &b.Entry, b.fields[:0], b.values[:0]
}

func cloned(list []string) []string {
	if list == nil {
		return nil
	}
	own := make([]string, len(list))
	for i, text := range list {
		own[i] = strings.Clone(text)
	}
	return own
}

// usualNames are names of fields that most responses have: kept once, for all entries.
var usualNames = func() map[string]string {
	names := make(map[string]string)
	for _, name := range []string{
		"Accept-Ranges", "Access-Control-Allow-Origin", "Age", "Cache-Control", "Cache-Status",
		"Content-Encoding",
		"Content-Language", "Content-Length", "Content-Security-Policy", "Content-Type", "Date",
		"Etag", "Expires",
		"Last-Modified", "Link", "Location", "Referrer-Policy", "Server", "Set-Cookie",
		"Strict-Transport-Security",
		"Vary", "X-Content-Type-Options", "X-Frame-Options",
		"accept", "accept-encoding", "accept-language", "Accept", "Accept-Encoding",
		"Accept-Language",
	} {
		names[name] = name
	}
	return names
}()

// piece is a field on its way into a packed header.
type piece struct {
	Field
	usual bool // all entries share the name
}

// size is how much room fields take.
type size struct{ values, bytes int }

// take adds the fields of h to pieces. Walking a map costs more than anything else here, and is
// done this once.
func (s *size) take(pieces []piece, h http.Header) []piece {
	for name, values := range h {
		usual, is := usualNames[name]
		if is {
			name = usual
		} else {
			s.bytes += len(name)
		}
		pieces = append(pieces, piece{Field{name, values}, is})
		s.values += len(values)
		for _, v := range values {
			s.bytes += len(v)
		}
	}
	return pieces
}

// packer lays texts and lists one after the other, in room that was made for all of them.
type packer struct {
	text strings.Builder
	room []string
}

func (p *packer) string(s string) string {
	start := p.text.Len()
	p.text.WriteString(s)
	return p.text.String()[start:]
}

// fields appends the pieces, packed.
func (p *packer) fields(packed []Field, pieces []piece) []Field {
	for i := range pieces {
		f := &pieces[i]
		name, values := f.Name, f.Values
		if !f.usual {
			name = p.string(name)
		}
		if values != nil {
			start := len(p.room)
			for _, v := range values {
				p.room = append(p.room, p.string(v))
			}
			values = p.room[start:len(p.room):len(p.room)]
		}
		packed = append(packed, Field{name, values})
	}
	return packed
}

// asHeader puts the fields into a map, a new one if that is nil. For no header it returns none.
func asHeader(of, into http.Header, fields []Field) http.Header {
	switch {
	case of == nil:
		return nil
	case into == nil:
		into = make(http.Header, len(fields))
	}
	for i := range fields {
		into[fields[i].Name] = fields[i].Values
	}
	return into
}

// Field is one field of a header: its name, and its values.
type Field struct {
	Name   string
	Values []string
}

// fieldList is a header map's content as a list: to walk a list costs a tenth of what it costs to
// walk a map. It knows which map it was made of, because entries are copied and given other
// headers.
type fieldList struct {
	fields []Field
	of     unsafe.Pointer
}

// FieldsOf returns the fields of h in no particular order, if h is the header of e and e is packed.
// The list is shared: do not modify it. e may be nil.
func (e *Entry) FieldsOf(h http.Header) (fields []Field, ok bool) {
	if e == nil || e.list.of == nil || e.list.of != identity(h) {
		return nil, false
	}
	return e.list.fields, true
}

// identity returns a pointer that differs between maps.
func identity(h http.Header) unsafe.Pointer { return reflect.ValueOf(h).UnsafePointer() }
