package invalidation

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

// A mark on a long URL or tag takes little room, and covers what it covered: whether it was written
// with the whole name, as by a version before, or with its digest.
func TestMarksWithLongNames(t *testing.T) {
	long := "http://example.com/" + strings.Repeat("a", 60_000)
	for _, size := range []int{maxName - 1, maxName, maxName + 1, len(long)} {
		name := long[:size]
		for _, kind := range []store.MarkKind{store.MarkKey, store.MarkTag, store.MarkPrefix} {
			for _, soft := range []bool{false, true} {
				given := []store.Mark{{Kind: store.MarkTag, Name: "short"},
					{Kind: kind, Name: name, Soft: soft}}
				before := slices.Clone(given)
				written := Named(given)
				if !slices.Equal(given, before) {
					t.Fatal("the caller's marks were changed")
				}
				if len(written[1].Name) > maxName || written[0] != given[0] ||
					size <= maxName && written[1] != given[1] {
					t.Errorf("%d bytes: written with %d: %.40q", size, len(written[1].Name),
						written[1].Name)
				}
				want := CoverageHard
				if soft {
					want = CoverageSoft
				}
				for how, m := range map[string]store.Mark{"now": written[1], "before": given[1]} {
					what := fmt.Sprintf("%d bytes, kind %d, written as %s", size, kind, how)
					r := NewReplica(0)
					r.Apply(store.Numbered{Number: 5, Mark: m})
					its := &store.Entry{Number: 4, URI: name}
					other := &store.Entry{Number: 4, URI: "http://other.example/", Tags: []string{name + "b"}}
					if kind == store.MarkTag {
						its = &store.Entry{Number: 4, URI: other.URI, Tags: []string{"short", name}}
					}
					if got := r.Covers(its); got != want {
						t.Errorf("%s: covers its own as %v, want %v", what, got, want)
					}
					if got := r.Covers(other); got != CoverageNone {
						t.Errorf("%s: covers another: %v", what, got)
					}
				}
			}
		}
	}
}

// A question about a name as long as most are costs no allocation.
func TestShortNamesAreAskedForWithoutAllocation(t *testing.T) {
	r := NewReplica(0)
	r.Apply(store.Numbered{Number: 5, Mark: store.Mark{Kind: store.MarkKey, Name: "other"}})
	e := &store.Entry{Number: 4, URI: strings.Repeat("a", maxName), Tags: []string{"tag"}}
	if n := testing.AllocsPerRun(100, func() { r.Covers(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
