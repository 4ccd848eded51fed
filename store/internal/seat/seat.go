// Package seat agrees on where a journal is that several servers could have, and finds another
// server for it when that one is gone. It knows no protocol: [Servers] asks and writes.
//
// Each of the n servers has a copy of the journal's [Seat]: the server that has the journal, and
// the number at which the journal begins there. The seat is the latest one that any copy names, if
// more than half of the n copies name it, and there is none otherwise. A copy is only replaced by a
// later seat, and only as it was read. A seat's journal is made before the first copy names it, and
// begins with a mark that everything before is forgotten. From this follows:
//
//   - Of two seats that were agreed on, the later one's journal begins at a number above all that
//     the earlier one's gave out: the process that proposed it has read a copy of that one.
//   - A mark that was written at a seat, before more than half of the copies were read that still
//     name it, is read by all who then read more than half of the copies, or the journal has moved
//     since, and its beginning covers the mark.
//
// Both hold as long as no server that has lost its copy gets an old one again. So what was read is
// written within [writeWithin], or not at all.
package seat

import (
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"
)

// Seat says where a journal is. The zero value is none.
type Seat struct {
	// Number is that at which the journal begins. A seat with a greater one is later.
	Number uint64
	Server string // its address, as all processes write it
}

// later reports whether s is later than t. Seats of one number go by their servers.
func (s Seat) later(t Seat) bool {
	return s.Number > t.Number || s.Number == t.Number && s.Server > t.Server
}

// A copy is its version, 1 byte; the seat's number, 8; and its server.
const (
	version    = 1
	notes      = 1 + 8
	maxAddress = 300 // bytes
	// MaxNumber is the greatest number at which a journal begins.
	MaxNumber = 1 << 62
)

// Append appends the bytes of a copy of s to b.
func Append(b []byte, s Seat) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, s.Number)
	return append(b, s.Server...)
}

// Parse reads a copy; ok is false if it is not one that Append would write.
func Parse(b []byte) (s Seat, ok bool) {
	if len(b) <= notes || len(b) > notes+maxAddress || b[0] != version {
		return Seat{}, false
	}
	s = Seat{Number: binary.BigEndian.Uint64(b[1:]), Server: string(b[notes:])}
	for _, r := range s.Server {
		if r <= ' ' || r == 0x7f {
			return Seat{}, false
		}
	}
	if s.Number == 0 || s.Number > MaxNumber || !utf8.ValidString(s.Server) {
		return Seat{}, false
	}
	return s, true
}

const (
	// gap is between the numbers at which two seats begin, at least: more than a journal gives out.
	gap = 1 << 40
	// chance is how many of a number's low bits are random, so that no two proposals are the same.
	chance = 20
)

// after returns the number of a seat that is proposed at now, when greatest is the greatest number
// known: that of the clock in microseconds, as history.Begin has it, unless a seat is known above
// which it must be.
func after(now time.Time, greatest uint64, random uint64) uint64 {
	number := uint64(max(now.UnixMicro(), 0))
	if greatest > 0 {
		number = max(number, greatest+gap)
	}
	number = min(number, math.MaxInt64)>>chance + 1
	return number<<chance | random&(1<<chance-1)
}
