package invalidation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

// model remembers every mark, and compares each with each entry.
type model []store.Numbered

func (m model) covers(e *store.Entry) Coverage {
	c := CoverageNone
	for _, mark := range m {
		if mark.Number <= e.Number {
			continue
		}
		var names bool
		switch mark.Kind {
		case store.MarkBarrier:
		case store.MarkKey:
			names = mark.Name == e.URI
		case store.MarkTag:
			names = slices.Contains(e.Tags, mark.Name)
		case store.MarkPrefix:
			names = strings.HasPrefix(e.URI, mark.Name)
		default:
			names = true
		}
		switch {
		case !names:
		case mark.Soft:
			c = max(c, CoverageSoft)
		default:
			c = max(c, CoverageHard)
		}
	}
	return c
}

// check compares a replica with the model: exactly as long as nothing is folded, and then the
// replica may be too strict, and reports that it was.
func check(t *testing.T, m model, r *Replica, e *store.Entry) (strict bool) {
	t.Helper()
	got, want := r.Covers(e), m.covers(e)
	if got < want || got > want && !r.folds() {
		t.Fatalf("after %d marks: Covers(%q, tags %q, filled at %d) = %v, want %v", len(m), e.URI,
			e.Tags, e.Number, got, want)
	}
	return got > want
}

// choices makes marks and entries that often meet: paths over few letters, some with bytes of 0.
type choices struct {
	pick  func(n int) int
	names int
}

func (c choices) name() string {
	var b strings.Builder
	b.WriteString("GET https://a.example/")
	for range c.pick(5) {
		fmt.Fprintf(&b, "%d/", c.pick(c.names))
	}
	b.WriteString(strings.Repeat("\x00", c.pick(3)))
	return b.String()[:b.Len()-c.pick(4)]
}

func (c choices) mark(number uint64) store.Numbered {
	m := store.Mark{Kind: store.MarkKind(c.pick(3)), Name: c.name(), Soft: c.pick(3) == 0}
	if c.pick(1000) == 0 {
		m.Kind, m.Name = store.MarkEverything+store.MarkKind(c.pick(3)), ""
		m.Soft = m.Soft && m.Kind == store.MarkEverything
	}
	return store.Numbered{Mark: m, Number: number}
}

func (c choices) entry(newest int) *store.Entry {
	e := &store.Entry{URI: c.name(), Number: uint64(c.pick(newest + 1))}
	for range c.pick(4) {
		e.Tags = append(e.Tags, c.name())
	}
	return e
}

// A replica means what a list of all marks means, whatever it had to forget by name. Where it had
// to forget hashes, it is stricter, now and then.
func TestReplicaAgainstAllMarks(t *testing.T) {
	for _, tt := range []struct {
		bound  int
		strict int // of 100 answers at most
	}{{0, 0}, {500, 2}, {100, 15}, {1, 35}} {
		t.Run(fmt.Sprint("bound ", tt.bound), func(t *testing.T) {
			const marks = 1500
			strict, asked := 0, 0
			for seed := range uint64(2) {
				c := choices{rand.New(rand.NewPCG(seed, 0)).IntN, 12}
				r, m := NewReplica(tt.bound), model(nil)
				for i := 1; i <= marks; i++ {
					// some come late, and some again
					mark := c.mark(uint64(max(1, i-c.pick(20))))
					if i > 1 && c.pick(10) == 0 {
						mark = m[c.pick(len(m))]
					}
					m = append(m, mark)
					r.Apply(mark)
					for range 3 {
						asked++
						if check(t, m, r, c.entry(i)) {
							strict++
						}
					}
				}
			}
			t.Logf("%d of %d answers too strict", strict, asked)
			if strict*100 > tt.strict*asked {
				t.Errorf("%d of %d answers are too strict, want %d of 100 at most", strict, asked,
					tt.strict)
			}
		})
	}
}

func FuzzReplica(f *testing.F) {
	f.Add(byte(0), []byte("a list of choices"))
	f.Add(byte(1), []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08"))
	f.Add(byte(20), []byte(strings.Repeat("\x07\x03\xff\x11", 100)))
	f.Fuzz(func(t *testing.T, bound byte, input []byte) {
		c := choices{func(n int) int {
			if len(input) == 0 {
				return 0
			}
			b := input[0]
			input = input[1:]
			return int(b) % n
		}, 3}
		r, m := NewReplica(int(bound)), model(nil)
		for len(input) > 0 {
			mark := c.mark(1 + uint64(c.pick(256)))
			m = append(m, mark)
			r.Apply(mark)
			check(t, m, r, c.entry(256))
		}
	})
}
