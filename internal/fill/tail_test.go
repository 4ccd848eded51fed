package fill

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Whatever is added and let go in whatever pieces, what is held is the body's end, and what a
// reader was given stays what it was.
func TestTail(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var body []byte
		var held tail
		base := int64(0)
		type given struct {
			at    int64
			bytes []byte
		}
		var out []given
		for range 300 {
			if random.IntN(3) > 0 {
				p := make([]byte, 1+random.IntN(1<<random.IntN(18)))
				for i := range p {
					p[i] = byte(random.Uint32())
				}
				held.add(int64(len(body)), p)
				body = append(body, p...)
			} else if n := int64(len(body)) - base; n > 0 {
				base += 1 + random.Int64N(n)
				held.drop(base)
			}
			if held.size != int64(len(body))-base {
				t.Fatalf("%d bytes are held of %d from %d on", held.size, len(body), base)
			}
			var read []byte
			for off := base; off < int64(len(body)); {
				b := held.from(off)
				if len(b) == 0 {
					t.Fatalf("nothing at %d of %d", off, len(body))
				}
				read, off = append(read, b...), off+int64(len(b))
			}
			if !bytes.Equal(read, body[base:]) {
				t.Fatalf("what is held from %d on is not the body", base)
			}
			if held.from(int64(len(body))) != nil {
				t.Fatal("something behind the end")
			}
			if len(read) > 0 {
				out = append(out, given{base, held.from(base)})
			}
		}
		for _, g := range out {
			if !bytes.Equal(g.bytes, body[g.at:g.at+int64(len(g.bytes))]) {
				t.Fatal("what a reader holds has changed")
			}
		}
	}
}

// Small writes share parts.
func TestATailOfSmallWrites(t *testing.T) {
	var held tail
	for i := range int64(10 * partSize) {
		held.add(i, []byte{1})
	}
	if len(held.parts) != 10 {
		t.Errorf("%d parts, want 10", len(held.parts))
	}
}

// What is let go of a part counts as spent until the rest of it goes.
func TestWhatIsSpentOfAPart(t *testing.T) {
	var held tail
	held.add(0, make([]byte, partSize))
	held.add(partSize, make([]byte, partSize))
	for _, s := range []struct{ to, spent, size int64 }{
		{10, 10, 2*partSize - 10}, {30, 30, 2*partSize - 30}, {partSize, 0, partSize},
		{partSize + 5, 5, partSize - 5}, {2 * partSize, 0, 0},
	} {
		held.drop(s.to)
		if held.spent != s.spent || held.size != s.size {
			t.Errorf("let go to %d: %d are spent, want %d, and %d held, want %d", s.to, held.spent,
				s.spent, held.size, s.size)
		}
	}
}
