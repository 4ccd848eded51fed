package store

import (
	"encoding/binary"
	"net/http"
	"time"
)

// decoder reads the fields of an encoded entry. Once something is wrong it has failed, and
// everything read from then on is zero. Counts are held to what the bytes left could be, so that no
// number in the input makes it take more than a fixed multiple of the input's length in memory.
type decoder struct {
	b      []byte
	s      string // the same, as a string: all texts are parts of it
	off    int
	room   []string // for the lists, of which each takes its part
	failed bool

	// of what a Compact has
	compact bool
	base    int64   // Unix nanoseconds, from which times count
	key     string  // of the entry
	date    string  // the last date
	seconds int64   // ... in Unix seconds
	fields  []Field // of the entry's header
}

func (d *decoder) fail() {
	d.failed = true
	d.off = len(d.b)
}

func (d *decoder) byte() byte {
	if d.off >= len(d.b) {
		d.fail()
		return 0
	}
	d.off++
	return d.b[d.off-1]
}

func (d *decoder) uvarint() uint64 {
	if d.off < len(d.b) && d.b[d.off] < 0x80 { // most are one byte
		d.off++
		return uint64(d.b[d.off-1])
	}
	v, n := binary.Uvarint(d.b[d.off:])
	if n <= 0 {
		d.fail()
		return 0
	}
	d.off += n
	return v
}

func (d *decoder) varint() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (d *decoder) string() string {
	n := d.uvarint()
	if !d.compact {
		return d.take(n)
	}
	return d.compactString(n)
}

// take returns the next n bytes as a text.
func (d *decoder) take(n uint64) string {
	if n > uint64(len(d.b)-d.off) {
		d.fail()
		return ""
	}
	d.off += int(n)
	return d.s[d.off-int(n) : d.off]
}

// count reads a count of things that take at least so many bytes each; not ok means nil.
func (d *decoder) count(bytes int) (n int, ok bool) {
	v := d.uvarint()
	if v == 0 {
		return 0, false
	}
	if v-1 > uint64((len(d.b)-d.off)/bytes) {
		d.fail()
		return 0, false
	}
	return int(v - 1), true
}

func (d *decoder) list() []string {
	n, ok := d.count(1)
	if !ok {
		return nil
	}
	if n > len(d.room) {
		d.fail()
		return nil
	}
	list := d.room[:n:n]
	d.room = d.room[n:]
	if n == 0 {
		list = []string{}
	}
	for i := range list {
		list[i] = d.string()
	}
	return list
}

// ownHeader reads the header, and lists its fields where there is room for that.
func (d *decoder) ownHeader() http.Header {
	n, ok := d.count(2)
	if !ok {
		return nil
	}
	h := make(http.Header, n)
	for range n {
		name := d.string()
		values := d.list()
		h[name] = values
		if len(d.fields) < cap(d.fields) {
			d.fields = append(d.fields, Field{name, values})
		}
	}
	if len(h) != n {
		d.fail() // a name came twice
	}
	return h
}

func (d *decoder) header() http.Header {
	fields := d.fields
	d.fields = nil
	h := d.ownHeader()
	d.fields = fields
	return h
}

func (d *decoder) duration() time.Duration {
	if d.compact {
		return d.compactDuration()
	}
	return time.Duration(d.varint())
}

func (d *decoder) time() time.Time {
	if d.compact {
		return d.compactTime()
	}
	return d.wholeTime()
}

func (d *decoder) wholeTime() time.Time {
	seconds, nanos := d.varint(), d.uvarint()
	if nanos >= 1e9 {
		d.fail()
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}
