package store

import "math"

// Limited is the ability of a store to tell beforehand what it has no room for. Set does not store
// what is too large, and returns no error.
type Limited interface {
	// MaxEntry returns a Size up to which the store keeps every entry, as far as size is concerned.
	MaxEntry() int64
	// MaxBody returns a length beyond which the store keeps no body. It may or may not keep an
	// entry between the two.
	MaxBody() int64
	// Fits reports whether the store would keep e, of a Size above MaxEntry: it may compress it. It
	// may be slow.
	Fits(e *Entry) bool
}

// ValueLimited is the ability of a backend to report how long a value may be.
type ValueLimited interface {
	// MaxValue returns the length of the longest value, in bytes, that Set takes.
	MaxValue() int64
}

// maxValue returns the length of the longest value that a backend takes, if it is ValueLimited, or
// else no bound.
func maxValue(b Backend) int64 {
	if a, ok := As[ValueLimited](b); ok {
		return a.MaxValue()
	}
	return math.MaxInt64
}
