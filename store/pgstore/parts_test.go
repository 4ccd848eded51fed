package pgstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store/internal/history"
)

// However much a journal remembers, no statement reads out more than a part of it.
func TestAJournalIsReadInParts(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	for _, tt := range []struct {
		story       string
		marks, name int // how many, and bytes
		want        []int
	}{
		{"as many as a part has", history.PartMarks, 100, []int{history.PartMarks}},
		{"one more", history.PartMarks + 1, 100, []int{history.PartMarks, 1}},
		{"long names", 100, 4096, []int{64, 36}},
		{"a name more than a part of bytes", 65, 4096, []int{64, 1}},
		{"names of which each fills a part", 3, history.PartBytes, []int{1, 1, 1}},
	} {
		j, begin := newJournal(t, b)
		names := make([]string, tt.marks)
		for i := range names {
			number := fmt.Sprint(i)
			names[i] = number + strings.Repeat("n", tt.name-len(number))
		}
		last := add(t, j, names...)
		var got []int
		for number := begin; number < last; {
			marks, head, err := j.Since(t.Context(), number)
			if err != nil || len(marks) == 0 || head != last {
				t.Fatalf("%s: part %d: %d marks, head %d, %v; want head %d", tt.story, len(got),
					len(marks), head, err, last)
			}
			got, number = append(got, len(marks)), marks[len(marks)-1].Number
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: parts of %d marks; want %d", tt.story, got, tt.want)
		}
		wantTold(t, j, begin, names...)
	}
}

// Where somebody has removed the first row of a part, or the last of all, what stands for those that
// are missing is in that part.
func TestARowThatIsMissingBetweenParts(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0")
	j, begin := newJournal(t, b)
	names := make([]string, 2*history.PartMarks)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	last := add(t, j, names...)
	admin(t, url, "DELETE FROM freshet_cache_journal WHERE prefix = $1 AND number = $2", j.prefix,
		last)
	wantTold(t, j, begin, append(slices.Clone(names[:history.PartMarks]), "ALL")...)
	admin(t, url, "DELETE FROM freshet_cache_journal WHERE prefix = $1 AND number = $2", j.prefix,
		last-history.PartMarks+1)
	wantTold(t, j, begin, append(slices.Clone(names[:history.PartMarks]), "ALL")...)
	wantTold(t, j, last-history.PartMarks+1, "ALL")
	wantTold(t, j, last-history.PartMarks, "ALL")
}
