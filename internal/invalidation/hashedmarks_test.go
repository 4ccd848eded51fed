package invalidation

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

// A million tags are remembered, all of them, in 32 MiB; at most one in
// a thousand entries without a mark of its own may be taken for invalidated.
func TestReplicaRemembersAMillionTags(t *testing.T) {
	const marks = 1_000_000
	r := NewReplica(0)
	for i := range uint64(marks) {
		r.Apply(hard(store.MarkTag, "tag "+strconv.FormatUint(i, 10), i+1))
	}
	lost := 0
	e := &store.Entry{URI: "page", Tags: make([]string, 1)}
	const pages = marks / 5
	for i := range pages {
		e.Tags[0] = "other " + strconv.Itoa(i)
		if r.Covers(e) != CoverageNone {
			lost++
		}
	}
	if lost > pages/1000 {
		t.Errorf("%d of %d entries are taken for invalidated, want one in 1000 at most", lost, pages)
	}
	for i := uint64(0); i < marks; i += 97 {
		e.Tags[0] = fmt.Sprint("tag ", i)
		if e.Number = i; r.Covers(e) != CoverageHard {
			t.Fatalf("mark %d is forgotten", i+1)
		}
		if e.Number = i + 1; r.Covers(e) != CoverageNone {
			t.Fatalf("mark %d covers what was filled since", i+1)
		}
	}
	names := r.names.Load()
	if bytes := 16 * len(names.table.Load().slots); bytes > 32<<20 || r.folds() {
		t.Errorf("%d bytes, folded %t; want 32 MiB at most, and nothing folded", bytes, r.folds())
	}
}

// So are 390,000 prefixes, of a hundred lengths.
func TestReplicaRemembersManyPrefixes(t *testing.T) {
	const marks = 390_000
	r := NewReplica(0)
	spaces := strings.Repeat(" ", 100)
	prefix := func(i uint64) string {
		return fmt.Sprint("GET https://a.example/", spaces[:i%100], i, "/")
	}
	for i := range uint64(marks) {
		r.Apply(hard(store.MarkPrefix, prefix(i), i+1))
	}
	other := strings.Repeat("y", 1000)
	for i := uint64(0); i < marks; i += 997 {
		for _, tt := range []struct {
			uri  string
			fill uint64
			want Coverage
		}{
			{prefix(i), i, CoverageHard},
			{prefix(i) + other, i, CoverageHard},
			{prefix(i) + other, i + 1, CoverageNone},
			{strings.TrimSuffix(prefix(i), "/"), i, CoverageNone},
			{strings.TrimSuffix(prefix(i), "/") + "a/" + other, i, CoverageNone},
		} {
			if got := r.Covers(&store.Entry{URI: tt.uri, Number: tt.fill}); got != tt.want {
				t.Fatalf("Covers(%q, filled at %d) = %v, want %v", tt.uri, tt.fill, got, tt.want)
			}
		}
	}
	table := r.prefixes.Load().marks.table.Load()
	if bytes := 16 * len(table.slots); bytes > 8<<20 || r.folds() {
		t.Errorf("%d bytes, folded %t; want 8 MiB at most, and nothing folded", bytes, r.folds())
	}
}

// A prefix longer than any key covers what begins with the first 64 KiB of it.
func TestReplicaCutsLongPrefixes(t *testing.T) {
	r := NewReplica(0)
	name := strings.Repeat("long", maxPrefixBytes/4)
	r.Apply(soft(store.MarkPrefix, name+"er", 1))
	for uri, want := range map[string]Coverage{
		name + "er": CoverageSoft, name: CoverageSoft, name[1:]: CoverageNone,
	} {
		if got := r.Covers(&store.Entry{URI: uri}); got != want {
			t.Errorf("a URI of %d bytes: %v, want %v", len(uri), got, want)
		}
	}
	if n := len(*r.prefixes.Load().lengths.Load()); n != maxPrefixBytes/64+1 {
		t.Errorf("%d words for the lengths, want %d", n, maxPrefixBytes/64+1)
	}
}

// A mark of everything makes what came before it needless, and frees its room.
func TestReplicaForgetsWhatEverythingCovers(t *testing.T) {
	apply := func(r *Replica, from, to uint64) {
		for i := from; i <= to; i++ {
			r.Apply(hard(store.MarkTag, fmt.Sprint(i), i))
			r.Apply(hard(store.MarkPrefix, fmt.Sprint(i), i))
		}
	}
	r := NewReplica(100)
	apply(r, 1, 1000)
	r.Apply(hard(store.MarkEverything, "", 1000))
	if r.names.Load() != nil || r.prefixes.Load() != nil {
		t.Error("marks are left that everything covers")
	}

	r = NewReplica(0)
	apply(r, 1, 1000)
	r.Apply(hard(store.MarkEverything, "", 900)) // it comes late
	names := r.names.Load().table.Load().used
	if prefixes := r.prefixes.Load().marks.table.Load().used; names != 100 || prefixes != 100 {
		t.Errorf("%d names and %d prefixes are left, want 100 of each", names, prefixes)
	}
}

// The table doubles when half of it is used. Within its budget it then takes up to three quarters,
// and lets a sixteenth of its marks go.
func TestHashedMarksGrow(t *testing.T) {
	const budget = 4 * minHashSlots
	h := newHashedMarks(budget)
	for i := range uint64(budget * 3 / 4) {
		size := minHashSlots
		for size/2 < int(i)+1 && size < budget {
			size *= 2
		}
		h.note(i<<32, i+1, false)
		if table := h.table.Load(); len(table.slots) != size || table.used != int(i)+1 {
			t.Fatalf("%d slots, %d used after %d marks, want %d slots", len(table.slots),
				table.used, i+1, size)
		}
	}
	if h.folded.Load() != nil {
		t.Fatal("folded within the budget")
	}
	h.note(1<<60, 1<<20, false)
	table, left := h.table.Load(), budget*3/4*15/16
	if len(table.slots) != budget || table.used != left || h.folded.Load() == nil {
		t.Errorf("%d slots, %d used after one more; want %d, %d", len(table.slots), table.used,
			budget, left)
	}
}

func TestTablesHaveTheRoomTheyAreAskedFor(t *testing.T) {
	for marks, want := range map[int]int{1: 4, 3: 4, 4: 8, 6: 8, 7: 16, DefaultBound: 1 << 21,
		DefaultBound + 1: 1 << 22, defaultPrefixBound: 1 << 19} {
		if got := slotsFor(marks); got != want {
			t.Errorf("%d slots for %d marks, want %d", got, marks, want)
		}
	}
}

// Beginnings hash alike wherever the walk has come from, and strings do not hash alike that differ
// in anything.
func TestPrefixHashing(t *testing.T) {
	h := newPrefixHashing()
	s := strings.Repeat("0123456789", 10)
	whole, some := h.walk(s), h.walk(s)
	seen := map[uint64]string{}
	for n := range len(s) + 1 {
		hash := h.of(s[:n])
		if got := whole.upTo(n); got != hash {
			t.Errorf("the first %d bytes: %x in a walk, %x alone", n, got, hash)
		}
		if n%13 == 5 && some.upTo(n) != hash {
			t.Errorf("the first %d bytes: another hash in a walk with greater steps", n)
		}
		alike := []string{s[:n], s[:n] + "\x00", s[:n] + "\x00\x00", "\x00" + s[:n]}
		for i := range n {
			alike = append(alike, s[:i]+"x"+s[i+1:n])
		}
		slices.Sort(alike)
		for _, other := range slices.Compact(alike) {
			if before, ok := seen[h.of(other)]; ok && before != other {
				t.Errorf("%q and %q hash alike", before, other)
			}
			seen[h.of(other)] = other
		}
	}
	if newPrefixHashing().of(s) == h.of(s) {
		t.Error("two hashings are the same")
	}
}

// BenchmarkReplicaManyTags asks about entries of five tags. The hashes of one's six names are the
// least that it takes.
func BenchmarkReplicaManyTags(b *testing.B) {
	b.Run("hashes alone", func(b *testing.B) {
		r, names := NewReplica(0), []string{"GET https://a.example/0"}
		for j := range 5 {
			names = append(names, fmt.Sprintf("author-0-%d", j))
		}
		var all uint64
		for b.Loop() {
			for _, name := range names {
				all += r.hash(store.MarkTag, name)
			}
		}
		runtime.KeepAlive(all)
	})
	for _, marks := range []int{10_000, 100_000, 1_000_000} {
		r := NewReplica(0)
		for i := range uint64(marks) {
			r.Apply(hard(store.MarkTag, fmt.Sprint("tag ", i), i+1))
		}
		bytes := 16 * len(r.names.Load().table.Load().slots)
		for entries, story := range map[int]string{1: "one entry", 1 << 12: "4096 entries"} {
			b.Run(fmt.Sprintf("%d tags, %s", marks, story), func(b *testing.B) {
				asked := make([]store.Entry, entries)
				for i := range asked {
					asked[i].URI = fmt.Sprint("GET https://a.example/", i)
					for j := range 5 {
						asked[i].Tags = append(asked[i].Tags, fmt.Sprintf("author-%d-%d", i, j))
					}
				}
				b.ReportMetric(float64(bytes), "table-bytes")
				for i := 0; b.Loop(); i++ {
					r.Covers(&asked[i%entries])
				}
			})
		}
	}
}

func BenchmarkReplicaPrefixes(b *testing.B) {
	for _, bb := range []struct {
		story    string
		prefixes int
		name     func(i int) string
		uri      string
	}{
		{"none", 0, nil, "GET https://a.example/blog/2026/a-page"},
		{"100,000 of 6 lengths", 100_000, func(i int) string {
			return fmt.Sprintf("GET https://a.example/%d/", i)
		}, "GET https://a.example/blog/2026/a-page"},
		{"a URI of 8 KiB, all lengths", 100_000, func(i int) string {
			return fmt.Sprintf("%*d", i%(8<<10), i)
		}, strings.Repeat("GET /", 8<<10/5)},
	} {
		r := NewReplica(0)
		r.Apply(hard(store.MarkTag, "other", 1<<20))
		for i := range bb.prefixes {
			r.Apply(hard(store.MarkPrefix, bb.name(i), uint64(i)+1))
		}
		b.Run(bb.story, func(b *testing.B) {
			e := &store.Entry{URI: bb.uri}
			for b.Loop() {
				r.Covers(e)
			}
		})
	}
}

func BenchmarkReplicaApply(b *testing.B) {
	for _, kind := range []store.MarkKind{store.MarkTag, store.MarkPrefix} {
		b.Run(kind.String(), func(b *testing.B) {
			r := NewReplica(0)
			for i := uint64(1); b.Loop(); i++ {
				r.Apply(hard(kind, fmt.Sprint("name ", i), i))
			}
		})
	}
}
