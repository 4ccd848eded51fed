package memcachestore

import (
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// seat says where a journal lies: on one server, from one number on. Each server of the journal's has
// a copy. The greatest term is the one that counts.
type seat struct {
	// term is the number at which the journal began there; everything before it counts as forgotten.
	term   uint64
	server string // host:port, as configured
	// hold is how long it stays there at least, though that server does not answer. It grows where
	// journals move often, as between processes that do not reach the same servers.
	hold time.Duration
	// Of two servers, the other one was away when the journal began here.
	alone bool
}

// over compares two seats, of which the greater one counts; nil is the smallest.
func (s *seat) over(t *seat) int {
	switch {
	case s == nil && t == nil:
		return 0
	case s == nil:
		return -1
	case t == nil:
		return 1
	}
	return cmp.Or(cmp.Compare(s.term, t.term), cmp.Compare(s.server, t.server))
}

// name is the term in keys.
func (s *seat) name() string { return strconv.FormatUint(s.term, 36) }

const (
	firstHold = 10 * time.Second
	longHold  = 10 * time.Minute
)

// holdAfter returns the hold of the seat that comes after one which lasted for so long.
func holdAfter(hold, lasted time.Duration) time.Duration {
	if lasted > 10*hold {
		return firstHold
	}
	return min(max(2*hold, firstHold), longHold)
}

// A seat is its version, 1 byte; its term, 8; its hold in milliseconds, 4; whether it was alone, 1;
// and its server.
const (
	seatVersion = 1
	seatNotes   = 1 + 8 + 4 + 1
	maxAddress  = 300 // bytes
)

func appendSeat(b []byte, s *seat) []byte {
	b = append(b, seatVersion)
	b = binary.BigEndian.AppendUint64(b, s.term)
	b = binary.BigEndian.AppendUint32(b, uint32(s.hold.Milliseconds()))
	alone := byte(0)
	if s.alone {
		alone = 1
	}
	return append(append(b, alone), s.server...)
}

// parseSeat reads a seat; ok is false where it is not one that appendSeat would write.
func parseSeat(b []byte) (s *seat, ok bool) {
	if len(b) <= seatNotes || len(b) > seatNotes+maxAddress || b[0] != seatVersion || b[13] > 1 {
		return nil, false
	}
	s = &seat{
		term:   binary.BigEndian.Uint64(b[1:]),
		hold:   time.Duration(binary.BigEndian.Uint32(b[9:])) * time.Millisecond,
		alone:  b[13] == 1,
		server: string(b[seatNotes:]),
	}
	plain := utf8.ValidString(s.server)
	for _, r := range s.server {
		plain = plain && r > ' ' && !unicode.IsControl(r)
	}
	return s, plain && 0 < s.term && s.term < math.MaxInt64 && s.hold <= longHold
}
