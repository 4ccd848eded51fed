package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
	"pgregory.net/rapid"
)

func TestReads(t *testing.T) {
	for name, k := range map[string]struct {
		add  func(s *Reads)
		want string
	}{
		"nothing":      {func(s *Reads) {}, ""},
		"a row, twice": {func(s *Reads) { s.Add("a", 1); s.Add("a", "1") }, "a a:1"},
		"a table":      {func(s *Reads) { s.Add("a", 1); s.Add("a"); s.Add("a", 2) }, "a a:*"},
		"two tables":   {func(s *Reads) { s.Add("a", 1); s.Add("b", 1, 2) }, "a a:1 b b:1:2"},
		"too many rows": {func(s *Reads) {
			s.Add("b", 1)
			for i := range 2 * MaxRows {
				s.Add("a", i)
			}
			s.Add("b", 2)
		}, "a a:* b b:1 b:2"},
	} {
		var s Reads
		k.add(&s)
		tags := s.Tags()
		slices.Sort(tags)
		if got := strings.Join(tags, " "); got != k.want {
			t.Errorf("%s: %s, want %s", name, got, k.want)
		}
	}
}

// Whatever was read, a change of it invalidates one of the tags, both of those that Add returned in
// time and of those that are left; and there are few.
func TestReadsMissNoChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Reads
		var told []string
		var read [][2]int
		for range rapid.IntRange(1, 3*MaxRows).Draw(t, "reads") {
			table, row := rapid.IntRange(0, 4).Draw(t, "table"), rapid.IntRange(0, 99).Draw(t, "row")
			told = append(told, s.Add(fmt.Sprint("t", table), row)...)
			read = append(read, [2]int{table, row})
		}
		tags := s.Tags()
		if len(tags) > MaxRows+2*5 {
			t.Fatalf("%d tags", len(tags))
		}
		for _, r := range read {
			table := fmt.Sprint("t", r[0])
			for _, change := range [][]string{policy.RowChange(table, r[1]), policy.TableChange(table)} {
				hit := func(tag string) bool { return slices.Contains(change, tag) }
				if !slices.ContainsFunc(tags, hit) || !slices.ContainsFunc(told, hit) {
					t.Fatalf("row %d of %s was read, and a change is %v; the tags are %v", r[1], table,
						change, tags)
				}
			}
		}
	})
}
