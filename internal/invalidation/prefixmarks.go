package invalidation

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// maxPrefixBytes is the length at which prefixes are cut: a shorter one covers more, and no URI of
// an entry is longer.
const maxPrefixBytes = 64 << 10

// prefixMarks holds the marks on prefixes by hash. To ask about a URI takes one walk over it, in
// which the hashes of all its beginnings that are as long as some prefix come up. One writer at a
// time; readers need no lock.
type prefixMarks struct {
	marks   *hashedMarks
	hashing prefixHashing
	// lengths has bit n set when there was a prefix of n bytes. The writer replaces the list when
	// it must be longer.
	lengths atomic.Pointer[[]atomic.Uint64]
}

func newPrefixMarks(maxSlots int) *prefixMarks {
	p := &prefixMarks{marks: newHashedMarks(maxSlots), hashing: newPrefixHashing()}
	p.lengths.Store(new([]atomic.Uint64))
	return p
}

// note notes the number of a mark on a prefix.
func (p *prefixMarks) note(prefix string, number uint64, soft bool) {
	prefix = prefix[:min(len(prefix), maxPrefixBytes)]
	p.noteLength(len(prefix))
	p.marks.note(p.hashing.of(prefix), number, soft)
}

func (p *prefixMarks) noteLength(n int) {
	lengths := *p.lengths.Load()
	if word := n / 64; word >= len(lengths) {
		longer := make([]atomic.Uint64, word+1)
		for i := range lengths {
			longer[i].Store(lengths[i].Load())
		}
		p.lengths.Store(&longer)
		lengths = longer
	}
	lengths[n/64].Or(1 << (n % 64))
}

// covers returns what the marks on prefixes of uri mean for what was filled at the number fill.
func (p *prefixMarks) covers(uri string, fill uint64) Coverage {
	c := CoverageNone
	walk := p.hashing.walk(uri)
	lengths := *p.lengths.Load()
	for i := range lengths {
		for set := lengths[i].Load(); set != 0; set &= set - 1 {
			n := 64*i + bits.TrailingZeros64(set)
			if n > len(uri) {
				return c
			}
			c = max(c, p.marks.covers(walk.upTo(n), fill))
		}
	}
	return c
}

// prefixHashing is a keyed hash of strings, so that nobody who chooses prefixes can choose hashes.
// The hash of a beginning goes on from the one of a shorter beginning: eight bytes at a time, each
// with one multiplication, and one more for each hash that is asked for.
type prefixHashing struct{ begin, step, end uint64 }

func newPrefixHashing() prefixHashing {
	return prefixHashing{rand.Uint64(), rand.Uint64() | 1, rand.Uint64() | 1}
}

func (h prefixHashing) of(s string) uint64 {
	w := h.walk(s)
	return w.upTo(len(s))
}

func (h prefixHashing) walk(s string) prefixWalk {
	return prefixWalk{hashing: h, s: s, state: h.begin}
}

// prefixWalk computes the hashes of beginnings of s, shorter ones first.
type prefixWalk struct {
	hashing prefixHashing
	s       string
	state   uint64 // of the first done bytes
	done    int    // a multiple of 8
}

// upTo returns the hash of the first n bytes.
func (w *prefixWalk) upTo(n int) uint64 {
	for ; w.done+8 < n; w.done += 8 {
		w.state = folded128(w.state^eightBytes(w.s[w.done:w.done+8]), w.hashing.step)
	}
	var rest uint64
	if n >= 8 {
		rest = eightBytes(w.s[n-8 : n])
	} else {
		for _, b := range []byte(w.s[:n]) {
			rest = rest<<8 | uint64(b)
		}
	}
	// The length tells apart what differs in zeros at the end alone.
	return folded128(w.state^rest, w.hashing.end+2*uint64(n))
}

// eightBytes returns the bytes of s as a number.
func eightBytes(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// folded128 returns the two halves of the product, one laid over the other.
func folded128(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
