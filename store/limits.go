package store

import "math"

// Limited is the ability of a store to tell beforehand what it has no room for. Set does not store what is too
// large, and returns no error.
type Limited interface {
	// MaxEntry returns a Size up to which the store keeps every entry, as far as its size is concerned.
	MaxEntry() int64
	// MaxBody returns a length beyond which no body is kept, whatever it is: an entry between the two may be, or not.
	MaxBody() int64
	// Fits reports whether the store would keep e, of a greater Size: one that it compresses, say. It may be slow.
	Fits(e *Entry) bool
}

// ValueLimited is the ability of a backend to tell how great a value may be.
type ValueLimited interface {
	// MaxValue returns the length of the greatest value, in bytes, that Set takes.
	MaxValue() int64
}

// maxValue returns the length of the longest value that a backend takes, as far as it tells; see ValueLimited.
func maxValue(b Backend) int64 {
	if a, ok := As[ValueLimited](b); ok {
		return a.MaxValue()
	}
	return math.MaxInt64
}
