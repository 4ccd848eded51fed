// Package lifetime converts lifetimes to the units in which servers count, and back.
package lifetime

import (
	"math"
	"time"
)

// Units returns a lifetime of more than 0 in units, rounded up.
func Units(ttl, unit time.Duration) int64 {
	n := int64(ttl / unit)
	if ttl%unit > 0 {
		n++
	}
	return n
}

// Of returns the lifetime of n units, or of as many as there can be.
func Of(n int64, unit time.Duration) time.Duration {
	return time.Duration(min(n, math.MaxInt64/int64(unit))) * unit
}
