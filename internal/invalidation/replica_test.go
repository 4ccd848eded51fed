package invalidation

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

func hard(kind store.MarkKind, name string, number uint64) store.Numbered {
	return store.Numbered{Mark: store.Mark{Kind: kind, Name: name}, Number: number}
}

func soft(kind store.MarkKind, name string, number uint64) store.Numbered {
	return store.Numbered{Mark: store.Mark{Kind: kind, Name: name, Soft: true}, Number: number}
}

func TestReplicaCovers(t *testing.T) {
	const page = "GET https://a.example/blog/1"
	for _, tt := range []struct {
		story string
		marks []store.Numbered
		entry store.Entry
		want  Coverage
	}{
		{"nothing happened", nil, store.Entry{URI: page}, CoverageNone},
		{"the page was purged after the fill began", []store.Numbered{hard(store.MarkKey, page, 5)},
			store.Entry{URI: page, Number: 4}, CoverageHard},
		{"the page was purged before the fill began", []store.Numbered{hard(store.MarkKey, page,
			5)}, store.Entry{URI: page, Number: 5}, CoverageNone},
		{"another page was purged", []store.Numbered{hard(store.MarkKey, page+"0", 5)},
			store.Entry{URI: page, Number: 4}, CoverageNone},
		{"an entry with more in its key than the URI", []store.Numbered{hard(store.MarkKey, page,
			5)}, store.Entry{Key: page + "|en", URI: page, Number: 4}, CoverageHard},
		{"an entry without URI goes by its key", []store.Numbered{hard(store.MarkKey, page, 5)},
			store.Entry{Key: page, Number: 4}, CoverageHard},
		{"marked stale", []store.Numbered{soft(store.MarkKey, page, 5)}, store.Entry{URI: page,
			Number: 4}, CoverageSoft},
		{"marked stale, then filled", []store.Numbered{soft(store.MarkKey, page, 5)},
			store.Entry{URI: page, Number: 5}, CoverageNone},
		{"purged, filled, marked stale", []store.Numbered{hard(store.MarkKey, page, 5),
			soft(store.MarkKey, page, 7)}, store.Entry{URI: page, Number: 6}, CoverageSoft},
		{"purged and marked stale", []store.Numbered{hard(store.MarkKey, page, 5),
			soft(store.MarkKey, page, 7)}, store.Entry{URI: page, Number: 4}, CoverageHard},
		{"marks come late and out of order", []store.Numbered{hard(store.MarkKey, page, 9),
			hard(store.MarkKey, page, 5)}, store.Entry{URI: page, Number: 8}, CoverageHard},
		{"one of its tags", []store.Numbered{hard(store.MarkTag, "b", 5)}, store.Entry{URI: page,
			Tags: []string{"a", "b"}, Number: 4}, CoverageHard},
		{"one tag hard, another soft", []store.Numbered{hard(store.MarkTag, "b", 5),
			soft(store.MarkTag, "a", 5)}, store.Entry{URI: page, Tags: []string{"a", "b"},
			Number: 4}, CoverageHard},
		{"a tag it does not carry", []store.Numbered{hard(store.MarkTag, "c", 5)},
			store.Entry{URI: page, Tags: []string{"a", "b"}, Number: 4}, CoverageNone},
		{"a tag named like the page", []store.Numbered{hard(store.MarkTag, page, 5)},
			store.Entry{URI: page, Number: 4}, CoverageNone},
		{"a folder", []store.Numbered{hard(store.MarkPrefix, "GET https://a.example/blog/", 5)},
			store.Entry{URI: page, Number: 4}, CoverageHard},
		{"a folder, marked stale", []store.Numbered{soft(store.MarkPrefix,
			"GET https://a.example/blog/", 5)}, store.Entry{URI: page, Number: 4}, CoverageSoft},
		{"another folder", []store.Numbered{hard(store.MarkPrefix, "GET https://a.example/blogs/",
			5)}, store.Entry{URI: page, Number: 4}, CoverageNone},
		{"a folder before the fill, another after", []store.Numbered{hard(store.MarkPrefix,
			"GET https://a.example/blog/", 5), hard(store.MarkPrefix, "GET https://a.example/x/",
			9)}, store.Entry{URI: page, Number: 6}, CoverageNone},
		{"a folder stale, then its parent stale, then gone", []store.Numbered{soft(store.MarkPrefix,
			"GET https://a.example/blog/", 5), hard(store.MarkPrefix, "GET https://a.example/", 6)},
			store.Entry{URI: page, Number: 4}, CoverageHard},
		{"a folder gone, then its parent stale", []store.Numbered{hard(store.MarkPrefix,
			"GET https://a.example/blog/", 5), soft(store.MarkPrefix, "GET https://a.example/", 6)},
			store.Entry{URI: page, Number: 4}, CoverageHard},
		{"a folder gone, filled, then stale", []store.Numbered{hard(store.MarkPrefix,
			"GET https://a.example/blog/", 5), soft(store.MarkPrefix, "GET https://a.example/blog/",
			7)}, store.Entry{URI: page, Number: 5}, CoverageSoft},
		{"a folder stale, filled, then gone", []store.Numbered{soft(store.MarkPrefix,
			"GET https://a.example/blog/", 5), hard(store.MarkPrefix, "GET https://a.example/blog/",
			7)}, store.Entry{URI: page, Number: 5}, CoverageHard},
		{"everything", []store.Numbered{hard(store.MarkEverything, "", 5)}, store.Entry{URI: page,
			Number: 4}, CoverageHard},
		{"everything, before", []store.Numbered{hard(store.MarkEverything, "", 5)},
			store.Entry{URI: page, Number: 5}, CoverageNone},
		{"everything, marked stale", []store.Numbered{soft(store.MarkEverything, "", 5)},
			store.Entry{URI: page, Number: 4}, CoverageSoft},
		{"everything, and then the page", []store.Numbered{hard(store.MarkEverything, "", 5),
			hard(store.MarkKey, page, 6)}, store.Entry{URI: page, Number: 5}, CoverageHard},
		{"a barrier", []store.Numbered{hard(store.MarkBarrier, page, 5)}, store.Entry{URI: page,
			Number: 4}, CoverageNone},
		{"a notice", []store.Numbered{hard(store.MarkNotice, page, 5)}, store.Entry{URI: page,
			Number: 4}, CoverageNone},
		{"a kind from a later version", []store.Numbered{hard(store.MarkNotice+1, "?", 5)},
			store.Entry{URI: page, Number: 4}, CoverageHard},
	} {
		t.Run(tt.story, func(t *testing.T) {
			r := NewReplica(0)
			var head uint64
			for _, m := range tt.marks {
				r.Apply(m)
				head = max(head, m.Number)
			}
			if got := r.Covers(&tt.entry); got != tt.want {
				t.Errorf("Covers = %v, want %v", got, tt.want)
			}
			if r.Head() != head {
				t.Errorf("Head = %d, want %d", r.Head(), head)
			}
		})
	}
}

// Whatever a replica forgets, it must go on covering, and within its bounds.
func TestReplicaOutgrown(t *testing.T) {
	long := strings.Repeat("x", 2560)
	for _, tt := range []struct {
		story string
		bound int
		mark  func(i int) store.Mark
	}{
		{"keys", 100, func(i int) store.Mark {
			return store.Mark{Kind: store.MarkKey, Name: fmt.Sprint("k", i)}
		}},
		{"one", 1, func(i int) store.Mark {
			return store.Mark{Kind: store.MarkKey, Name: fmt.Sprint("k", i)}
		}},
		{"tags", 100, func(i int) store.Mark {
			return store.Mark{Kind: store.MarkTag, Name: fmt.Sprint("k", i)}
		}},
		{"soft marks", 100, func(i int) store.Mark {
			return store.Mark{Kind: store.MarkTag, Name: fmt.Sprint("k", i), Soft: true}
		}},
		{"long names", 100, func(i int) store.Mark {
			return store.Mark{Kind: store.MarkKey, Name: fmt.Sprint("k", i, long)}
		}},
		{"prefixes", 1000, func(i int) store.Mark {
			return store.Mark{Kind: store.MarkPrefix, Name: fmt.Sprint("k", i, "/")}
		}},
		{"long prefixes", 10, func(i int) store.Mark {
			return store.Mark{Kind: store.MarkPrefix, Name: fmt.Sprint("k", i, long)}
		}},
		{"one prefix", 1, func(i int) store.Mark {
			return store.Mark{Kind: store.MarkPrefix, Name: fmt.Sprint("k", i, "/")}
		}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			const marks = 3000
			r := NewReplica(tt.bound)
			for i := 1; i <= marks; i++ {
				r.Apply(store.Numbered{Mark: tt.mark(i), Number: uint64(i)})
				table, slots := hashedOf(r).table.Load(), slotsFor(tt.bound)
				if len(table.slots) > slots || table.used > len(table.slots)*3/4 {
					t.Fatalf("%d of %d slots used, bound %d", table.used, len(table.slots), slots)
				}
				if r.folds() != (i > slots*3/4) {
					t.Fatalf("folded %t after %d marks, bound %d", r.folds(), i, slots*3/4)
				}
			}
			for i := 1; i <= marks; i++ {
				name := tt.mark(i).Name
				old := &store.Entry{URI: name, Tags: []string{name}, Number: uint64(i) - 1}
				if r.Covers(old) == CoverageNone {
					t.Fatalf("mark %d is forgotten", i)
				}
			}
			last := tt.mark(marks).Name
			if r.Covers(&store.Entry{URI: last, Tags: []string{last},
				Number: marks}) != CoverageNone {
				t.Error("covers an entry that was filled after every mark")
			}
			if r.Floor() != 0 {
				t.Errorf("floor %d: %d marks invalidate all there is", r.Floor(), marks)
			}
		})
	}
}

// hashedOf returns the table of a replica that has names or prefixes alone.
func hashedOf(r *Replica) *hashedMarks {
	if names := r.names.Load(); names != nil {
		return names
	}
	return r.prefixes.Load().marks
}

// folds reports whether the replica has had to fold marks.
func (r *Replica) folds() bool {
	names, prefixes := r.names.Load(), r.prefixes.Load()
	return names != nil && names.folded.Load() != nil ||
		prefixes != nil && prefixes.marks.folded.Load() != nil
}

func TestReplicaAdvance(t *testing.T) {
	r := NewReplica(0)
	r.Apply(hard(store.MarkKey, "a", 3))
	r.Advance(10)
	r.Advance(7)
	if r.Head() != 10 {
		t.Errorf("Head = %d after Advance(10) and Advance(7), want 10", r.Head())
	}
	if r.Covers(&store.Entry{Key: "a", Number: 2}) != CoverageHard {
		t.Error("Advance lost a mark")
	}
	if r.Covers(&store.Entry{Key: "a", Number: 3}) != CoverageNone {
		t.Error("Advance covers entries that no mark covers")
	}
}

// A fill may begin, and an answer be judged, at any moment of an Apply, also of one that grows the
// table or forgets. A goroutine that has seen an Apply return must find its mark; one that took its
// number from Head must find every mark between the two that is about it.
func TestReplicaConcurrent(t *testing.T) {
	const writers, marks = 4, 2000
	for _, bound := range []int{0, 64} {
		t.Run(fmt.Sprint("bound ", bound), func(t *testing.T) {
			r := NewReplica(bound)
			journal := memjournal.New()
			var writing, reading sync.WaitGroup
			done := make(chan struct{})
			for w := range writers {
				writing.Go(func() {
					for i := range marks / writers {
						m := store.Mark{Kind: store.MarkKind(i % 3), Name: fmt.Sprintf("%d/%d/",
							w, i)}
						before := r.Head()
						n, err := journal.Append(t.Context(), m)
						if err != nil {
							t.Error(err)
							return
						}
						r.Apply(store.Numbered{Mark: m, Number: n})
						if !covered(r, m.Name, before) {
							t.Errorf("mark %d does not cover an entry filled at %d after Apply "+
								"has returned", n, before)
						}
						if head := r.Head(); head < n {
							t.Errorf("Head = %d after Apply(%d)", head, n)
						}
					}
				})
			}
			for range 2 {
				reading.Go(func() {
					// covered by mark 1, whatever happens
					old := &store.Entry{URI: "0/0/", Tags: []string{"0/0/"}}
					seen := false
					for {
						select {
						case <-done:
							return
						default:
						}
						covers := r.Covers(old) != CoverageNone
						if seen && !covers {
							t.Error("an entry was covered and is no longer")
							return
						}
						seen = covers
					}
				})
			}
			writing.Wait()
			close(done)
			reading.Wait()
		})
	}
}

// Head is also the receipt that a node gives: a goroutine that reads n there must find mark n, at
// any moment of an Apply, also of one that grows the table or forgets.
func TestReplicaHeadIsAReceipt(t *testing.T) {
	names := make([]string, 100_001)
	for i := range names {
		names[i] = fmt.Sprintf("%d/", i)
	}
	for bound, marks := range map[int]uint64{0: 2000, 3: 40_000} {
		for _, kind := range []store.MarkKind{store.MarkKey, store.MarkPrefix} {
			t.Run(fmt.Sprintf("%s marks, bound %d", kind, bound), func(t *testing.T) {
				r := NewReplica(bound)
				var reading sync.WaitGroup
				for range 2 {
					reading.Go(func() {
						for h := uint64(0); h < marks; {
							h = r.Head()
							// the newest, and those about to be forgotten
							for n := h; n > 0 && n+10 > h; n-- {
								if !covered(r, names[n], n-1) {
									t.Errorf("Head is %d and mark %d is not to be found", h, n)
									return
								}
							}
						}
					})
				}
				for n := uint64(1); n <= marks; n++ {
					r.Apply(hard(kind, names[n], n))
				}
				reading.Wait()
			})
		}
	}
}

func covered(r *Replica, name string, fill uint64) bool {
	return r.Covers(&store.Entry{URI: name, Tags: []string{name}, Number: fill}) != CoverageNone
}

func TestReplicaAllocatesNothing(t *testing.T) {
	r := NewReplica(0)
	for i := range 1000 {
		r.Apply(hard(store.MarkKey, fmt.Sprint("k", i), uint64(i)))
	}
	r.Apply(soft(store.MarkPrefix, "other/", 2000))
	e := &store.Entry{URI: "page", Tags: []string{"a", "b"}, Number: 10}
	if n := testing.AllocsPerRun(100, func() { r.Covers(e) }); n != 0 {
		t.Errorf("%v allocations a question, want 0", n)
	}
}

func BenchmarkReplicaCovers(b *testing.B) {
	r := NewReplica(0)
	for i := range 10_000 {
		r.Apply(hard(store.MarkKey, fmt.Sprint("GET https://a.example/", i), uint64(i)))
	}
	for _, bb := range []struct {
		name string
		fill uint64
	}{{"nothing newer", 10_000}, {"something newer", 10}} {
		b.Run(bb.name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				e := &store.Entry{URI: "GET https://a.example/page", Tags: []string{"a", "b"},
					Number: bb.fill}
				for pb.Next() {
					r.Covers(e)
				}
			})
		})
	}
}

// Many invalidations do not invalidate everything, not even when they outgrow what is remembered by
// hash.
func TestReplicaFloodedKeepsTheRest(t *testing.T) {
	for _, tt := range []struct {
		story string
		name  string
		kind  store.MarkKind
		marks uint64 // of a bound of 3072
		most  int    // of 1000 other entries that may be taken for invalidated
	}{
		{"keys", "short", store.MarkKey, 3072, 0},
		{"long keys", strings.Repeat("long", 15<<10), store.MarkKey, 3072, 0},
		{"too many keys", "short", store.MarkKey, 3073, 30},
		{"prefixes", "short", store.MarkPrefix, 3072, 0},
		{"too many prefixes", "short", store.MarkPrefix, 3073, 90},
	} {
		r := NewReplica(3072)
		for i := range tt.marks {
			r.Apply(hard(tt.kind, fmt.Sprint(tt.name, i), i+1))
		}
		if r.folds() != (tt.most > 0) {
			t.Errorf("%s: folded %t", tt.story, r.folds())
		}
		lost := 0
		for i := range 1000 {
			// that begin differently: the guess at one beginning is the same for all that have it
			if r.Covers(&store.Entry{URI: fmt.Sprint(i, " other entry")}) != CoverageNone {
				lost++
			}
		}
		if lost > tt.most {
			t.Errorf("%s: %d of 1000 other entries are invalidated by marks that do not name them",
				tt.story, lost)
		}
	}
}

// Nor has what is filled after its mark, nor what has a tag where a key was marked, or a key where
// a tag.
func TestReplicaFloodedKeepsWhatIsFilledAgain(t *testing.T) {
	for kind, other := range map[store.MarkKind]store.MarkKind{store.MarkKey: store.MarkTag,
		store.MarkTag: store.MarkKey} {
		const marks = 1 << 10
		r := NewReplica(marks / 2)
		for i := range uint64(marks) {
			r.Apply(hard(kind, fmt.Sprint(i), i+1))
		}
		entry := func(kind store.MarkKind, name string, fill uint64) *store.Entry {
			if kind == store.MarkTag {
				// another URI each: the guess at one of them is the same for all that have it
				return &store.Entry{URI: "page " + name, Tags: []string{name}, Number: fill}
			}
			return &store.Entry{URI: name, Number: fill}
		}
		again, others := 0, 0
		for i := range uint64(marks) {
			if r.Covers(entry(kind, fmt.Sprint(i), i+1)) != CoverageNone {
				again++
			}
			if r.Covers(entry(other, fmt.Sprint(i), 0)) != CoverageNone {
				others++
			}
		}
		if again > marks/4 || others > marks/2 {
			t.Errorf("after %d %s marks: %d entries filled since and %d named by the other kind "+
				"are invalidated", marks, kind, again, others)
		}
	}
}
