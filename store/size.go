package store

import (
	"net/http"
	"unsafe"
)

// What Go's own structures take on a 64-bit machine. They are estimates, held to the heap's real
// growth by a test.
const (
	sizeOfString = int64(unsafe.Sizeof(""))
	sizeOfSlice  = int64(unsafe.Sizeof([]string(nil)))
	sizeOfEntry  = int64(unsafe.Sizeof(Entry{}))

	// A map's head, and a group of 8 places for a name and a slice of values.
	sizeOfMap      = 48
	sizeOfMapGroup = 8 + 8*(16+24)
)

// Size estimates how many bytes of memory the entry takes: key, header, trailer, body and all. A
// body counts with its capacity, because that is what it keeps from being freed.
func (e *Entry) Size() int64 {
	n := sizeOfEntry + int64(len(e.Key)) + int64(cap(e.Body))
	if e.URI != e.Key {
		n += int64(len(e.URI))
	}
	n += int64(cap(e.list.fields)) * int64(unsafe.Sizeof(Field{}))
	n += headerSize(e.Header) + headerSize(e.Trailer) + headerSize(e.Vary)
	n += stringsSize(e.Tags)
	for _, fields := range e.Variants {
		n += sizeOfSlice + stringsSize(fields)
	}
	return n + int64(cap(e.Spans))*int64(unsafe.Sizeof(Span{}))
}

func headerSize(h http.Header) int64 {
	n := mapSize(h)
	for name, values := range h {
		n += int64(len(name)) + stringsSize(values)
	}
	return n
}

// mapSize is what a header's map takes besides its texts and lists.
func mapSize(h http.Header) int64 {
	if h == nil {
		return 0
	}
	// A map fills its groups to seven eighths and grows by doubling.
	groups := 1
	for n := len(h); n > 8 && n > groups*7; {
		groups *= 2
	}
	return int64(sizeOfMap + groups*sizeOfMapGroup)
}

func stringsSize(s []string) int64 {
	n := int64(cap(s)) * sizeOfString
	for _, v := range s {
		n += int64(len(v))
	}
	return n
}
