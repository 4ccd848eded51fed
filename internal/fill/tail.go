package fill

import "sort"

// tail is the end of a body whose beginning has been dropped. Its parts stay where they are:
// readers may hold them while more comes and the first of them go.
type tail struct {
	parts []part
	size  int64
	spent int64 // of the first part: let go, but in memory for as long as the rest of it
}

// part begins at a place in the body.
type part struct {
	start int64
	bytes []byte
}

// partSize is how much room a part has at least, so that small writes do not make many.
const partSize = 16 << 10

// add appends p to a body that has come as far as the place end.
func (t *tail) add(end int64, p []byte) {
	t.size += int64(len(p))
	if n := len(t.parts); n > 0 {
		last := &t.parts[n-1]
		if room := cap(last.bytes) - len(last.bytes); room >= len(p) {
			last.bytes = append(last.bytes, p...)
			return
		}
	}
	t.parts = append(t.parts, part{end, append(make([]byte, 0, max(partSize, len(p))), p...)})
}

// drop lets go what is before the place to.
func (t *tail) drop(to int64) {
	gone := 0
	for gone < len(t.parts) && t.parts[gone].end() <= to {
		t.size -= int64(len(t.parts[gone].bytes))
		t.parts[gone].bytes, t.spent = nil, 0
		gone++
	}
	t.parts = t.parts[gone:]
	if len(t.parts) > 0 && t.parts[0].start < to {
		first := &t.parts[0]
		t.size -= to - first.start
		t.spent += to - first.start
		first.start, first.bytes = to, first.bytes[to-first.start:]
	}
}

// from returns what lies in one piece from the place off on; nothing when that is the end.
func (t *tail) from(off int64) []byte {
	i := sort.Search(len(t.parts), func(i int) bool { return t.parts[i].end() > off })
	if i == len(t.parts) {
		return nil
	}
	return t.parts[i].bytes[off-t.parts[i].start:]
}

func (p *part) end() int64 { return p.start + int64(len(p.bytes)) }
