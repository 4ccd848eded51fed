package store

import (
	"net/http"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Compact is an entry without its key, in a form that takes little memory, for a store in the same
// process: a page of 1 KiB takes half of what its Entry takes, in one piece beside the Compact
// itself. It is never modified. Its zero value is none.
type Compact struct {
	head     string
	body     []byte    // behind the head, where the two are small
	received time.Time // with the monotonic clock's reading, which no text could have
}

// smallBody is the longest body that lies in one piece with the head: it is copied for that.
const smallBody = 4 << 10

// Compact returns the compact form of the entry, and how many bytes of memory that takes: what the
// allocator sets aside for it, without the Compact itself and the key. It shares nothing but a long
// body.
func (e *Entry) Compact() (c Compact, size int64) { return e.compact(true) }

// CompactApart is Compact, but that it shares a short body as well, and takes less memory than it
// says: for simulations of many entries that have one body.
func (e *Entry) CompactApart() (c Compact, size int64) { return e.compact(false) }

func (e *Entry) compact(copies bool) (c Compact, size int64) {
	w := writers.Get().(*fieldWriter)
	w.b, w.base = w.b[:0], nanoseconds(e.Received)
	w.varint(e.ends)
	w.entry(e)
	c = Compact{body: e.Body, received: e.Received}
	head, n := len(w.b), len(e.Body)
	size = allocated(head) + allocated(cap(e.Body))
	// One piece less for the garbage collector is worth a sixteenth.
	apart, together := allocated(head)+allocated(n), allocated(head+n)
	joins := n > 0 && n <= smallBody && together <= apart+apart/16
	if joins {
		size = together
	}
	if joins && copies {
		b := append(append(make([]byte, 0, head+n), w.b...), e.Body...)
		c.head, c.body = unsafe.String(&b[0], head), b[head:len(b):len(b)]
	} else {
		c.head = string(w.b)
	}
	if w.date = ""; cap(w.b) <= 16<<10 {
		writers.Put(w)
	}
	return c, size
}

var writers = sync.Pool{New: func() any { return &fieldWriter{compact: true, b: make([]byte, 0, 1<<10)} }}

// SizeOfKey returns how many bytes of memory a key takes that is kept by itself.
func SizeOfKey(key string) int64 { return allocated(len(key)) }

// SizeOf returns how many bytes of memory e takes, which Entry has made, besides c.
func (c *Compact) SizeOf(e *Entry) int64 {
	values := int64(countStrings(e))
	n := allocated(int(unsafe.Sizeof(block{})))
	if values > int64(len(block{}.values)) {
		n = allocated(int(sizeOfEntry)) + allocated(int(values*sizeOfString)) +
			allocated(int(values*int64(unsafe.Sizeof(Field{}))))
	}
	const date = 32 // which has no text in c
	for _, h := range [...]http.Header{e.Header, e.Trailer, e.Vary} {
		for _, values := range h {
			for _, v := range values {
				if len(v) == len(http.TimeFormat) {
					n += date
				}
			}
		}
	}
	return n + mapSize(e.Header) + mapSize(e.Trailer) + mapSize(e.Vary) +
		int64(len(e.Variants))*sizeOfSlice + int64(len(e.Spans))*int64(unsafe.Sizeof(Span{}))
}

// allocated is what Go's allocator sets aside for so many bytes: it has sizes for what is small,
// and whole pages for what is not.
func allocated(n int) int64 {
	const page = 8 << 10
	switch words := (n + 7) / 8; {
	case n == 0:
		return 0
	case words < len(sizes):
		return int64(sizes[words])
	}
	return int64(n+page-1) &^ (page - 1)
}

// sizes are what is set aside for so many words. An append makes use of all that it gets.
var sizes = func() (s [4 << 10]uint16) {
	for words := 1; words < len(s); {
		size := cap(append([]byte(nil), make([]byte, words*8)...))
		for ; words < len(s) && words*8 <= size; words++ {
			s[words] = uint16(size)
		}
	}
	s[1] = 16 // what is smaller shares a piece of that size with others
	return s
}()

// Entry returns the entry with its key, made anew. Its other texts and its body are c's. It returns
// nil if somebody has changed the entry's header while c was made of it.
func (c *Compact) Entry(key string) *Entry {
	d := decoder{b: unsafe.Slice(unsafe.StringData(c.head), len(c.head)), s: c.head, compact: true,
		base: nanoseconds(c.received), key: key}
	ends := d.varint()
	flags := d.byte()
	values := int(d.uvarint())
	e, fields, room := newBlock(values, values)
	d.fields, d.room = fields, room[:values]
	d.entry(e)
	if d.failed || d.off != len(d.b) || len(d.room) > 0 {
		return nil
	}
	e.setFlags(flags)
	e.Body, e.Received, e.ends = c.body, c.received, ends
	if e.Header != nil && len(d.fields) == len(e.Header) {
		e.list = fieldList{d.fields, identity(e.Header)}
	}
	return e
}

// A compact text begins with a number: twice its length, and it follows; or twice a code and one.
const (
	codeDate  = iota // a date: how many seconds after the entry was received
	codeOfKey        // a part of the key: where it begins, and its length
	codeUsual        // the first of usualTexts
)

// usualTexts are what many headers have, in no particular order: a Compact never leaves its
// process.
var usualTexts = append(names(), "", "*", "bytes", "nosniff", "gzip", "br", "zstd", "DENY", "SAMEORIGIN",
	"text/html; charset=utf-8", "text/html; charset=UTF-8", "text/html",
	"text/plain; charset=utf-8", "text/css; charset=utf-8", "text/css",
	"text/javascript; charset=utf-8", "text/javascript", "application/javascript",
	"application/json", "application/json; charset=utf-8", "text/xml; charset=utf-8",
	"application/xml", "application/octet-stream", "image/png", "image/jpeg", "image/webp",
	"image/svg+xml", "image/gif", "font/woff2",
	"no-cache", "public", "public, max-age=60", "public, max-age=300", "public, max-age=3600",
	"public, max-age=86400", "public, max-age=31536000, immutable", "max-age=60", "max-age=300",
	"max-age=3600", "max-age=86400", "Origin", "Accept, Accept-Encoding", "no-referrer",
	"same-origin", "strict-origin-when-cross-origin", "max-age=31536000",
	"max-age=31536000; includeSubDomains", "0", "1; mode=block", "en", "true")

func names() (all []string) {
	for name := range usualNames {
		all = append(all, name)
	}
	return all
}

var usualCodes = func() map[string]int {
	codes := make(map[string]int, len(usualTexts))
	for i, text := range usualTexts {
		codes[text] = codeUsual + i
	}
	return codes
}()

// usualCode returns the code of a usual text. Most others are known by their length.
func usualCode(s string) (code int, ok bool) {
	if len(s) > 40 {
		return 0, false
	}
	code, ok = usualCodes[s]
	return code, ok
}

func (w *fieldWriter) compactString(s string) {
	if code, ok := usualCode(s); ok {
		w.uvarint(uint64(code)<<1 | 1)
		return
	}
	if w.isDate(s) {
		w.uvarint(codeDate<<1 | 1)
		w.varint(w.seconds - w.base/1e9)
		return
	}
	w.uvarint(uint64(len(s)) << 1)
	w.b = append(w.b, s...)
}

// uri writes the URI, which is a part of most keys.
func (w *fieldWriter) uri(e *Entry) {
	at := strings.LastIndex(e.Key, e.URI)
	if !w.compact || at < 0 || e.URI == "" {
		w.string(e.URI)
		return
	}
	w.uvarint(codeOfKey<<1 | 1)
	w.uvarint(uint64(at))
	w.uvarint(uint64(len(e.URI)))
}

// isDate reports whether s is a date in just the form that http.TimeFormat has, and keeps it.
func (w *fieldWriter) isDate(s string) bool {
	if len(s) != len(http.TimeFormat) || !strings.HasSuffix(s, " GMT") {
		return false
	}
	if w.date == s { // most responses have one date twice
		return true
	}
	t, err := time.Parse(http.TimeFormat, s)
	if err != nil {
		return false
	}
	var room [len(http.TimeFormat)]byte
	if string(t.AppendFormat(room[:0], http.TimeFormat)) != s {
		return false
	}
	w.date, w.seconds = s, t.Unix()
	return true
}

// compactString reads a text that compactString has written.
func (d *decoder) compactString(n uint64) string {
	if n&1 == 0 {
		return d.take(n >> 1)
	}
	switch code := n >> 1; {
	case code == codeDate:
		seconds := d.varint() + d.base/1e9
		if d.date == "" || d.seconds != seconds {
			var room [len(http.TimeFormat)]byte
			d.seconds = seconds
			d.date = string(time.Unix(seconds, 0).UTC().AppendFormat(room[:0], http.TimeFormat))
		}
		return d.date
	case code == codeOfKey:
		at, length := d.uvarint(), d.uvarint()
		if at > uint64(len(d.key)) || length > uint64(len(d.key))-at {
			break
		}
		return d.key[at : at+length]
	case code-codeUsual < uint64(len(usualTexts)):
		return usualTexts[code-codeUsual]
	}
	d.fail()
	return ""
}

// compactTime writes a time: 0 for the zero time, 1 for one that is far away and follows in full,
// or how many nanoseconds before or after the entry was received it was, and 2.
func (w *fieldWriter) compactTime(t time.Time) {
	n := nanoseconds(t)
	switch {
	case t.IsZero():
		w.uvarint(0)
	case n == 0:
		w.uvarint(1)
		w.varint(t.Unix())
		w.uvarint(uint64(t.Nanosecond()))
	default:
		n -= w.base
		w.uvarint((uint64(n)<<1 ^ uint64(n>>63)) + 2)
	}
}

func (d *decoder) compactTime() time.Time {
	switch v := d.uvarint(); v {
	case 0:
		return time.Time{}
	case 1:
		return d.wholeTime()
	default:
		v -= 2
		return time.Unix(0, d.base+(int64(v>>1)^-int64(v&1))).UTC()
	}
}

// nanoseconds returns t in Unix nanoseconds, or 0 where it is before 1970 or after 2100: the
// difference of two of them is no more than a quarter of what an int64 can hold.
func nanoseconds(t time.Time) int64 {
	if s := t.Unix(); s <= 0 || s > 1<<32-1 {
		return 0
	}
	return t.UnixNano()
}

// compactDuration writes whole seconds as twice their number, and anything else as 1 and the
// nanoseconds.
func (w *fieldWriter) compactDuration(t time.Duration) {
	if t%time.Second == 0 {
		w.varint(int64(t/time.Second) * 2)
		return
	}
	w.varint(1)
	w.varint(int64(t))
}

func (d *decoder) compactDuration() time.Duration {
	if v := d.varint(); v != 1 {
		return time.Duration(v/2) * time.Second
	}
	return time.Duration(d.varint())
}
