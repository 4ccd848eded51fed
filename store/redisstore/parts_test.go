package redisstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// However much a journal remembers, no script reads out more than a part of it.
func TestAJournalIsReadInParts(t *testing.T) {
	for _, tt := range []struct {
		story      string
		marks      int
		name       int // bytes
		most, many int // marks in a part, parts
	}{
		{"as many as a part has", history.PartMarks - 1, 100, history.PartMarks, 1},
		{"one more", history.PartMarks, 100, history.PartMarks, 2},
		{"URLs", 3*history.PartMarks - 1, 100, history.PartMarks, 3},
		{"long names", 400, 4095, history.PartBytes / 4096, 7},
		{"names of which each fills a part", 3, history.PartBytes, 1, 3},
	} {
		t.Run(tt.story, func(t *testing.T) {
			j := newJournal(open(t, testserver.SharedRedis(t).URL))
			names := tags(tt.marks, tt.name)
			last := appendMarks(t, j, names...)
			var got []store.Numbered
			many := 0
			for number := uint64(0); number < last; many++ {
				marks, head, err := j.Since(t.Context(), number)
				if err != nil {
					t.Fatal(err)
				}
				bytes := 0
				for _, m := range marks[:len(marks)-1] {
					bytes += len(m.Name)
				}
				if len(marks) > tt.most+1 || bytes >= history.PartBytes || head != last {
					t.Errorf("part %d has %d marks, of %d bytes before the last, head %d; want %d "+
						"marks, %d bytes, head %d", many, len(marks), bytes, head, tt.most,
						history.PartBytes, last)
				}
				got, number = append(got, marks...), marks[len(marks)-1].Number
			}
			if many != tt.many && many != tt.many+1 || len(got) != tt.marks+1 ||
				!isReset(got[0].Mark) {
				t.Fatalf("%d marks in %d parts; want the beginning and %d, in %d parts", len(got),
					many, tt.marks, tt.many)
			}
			for i, m := range got[1:] {
				if m.Mark != names[i] || m.Number != got[0].Number+uint64(i)+1 {
					t.Fatalf("mark %d is %v; want %v", i, m, names[i])
				}
			}
		})
	}
}

// tags returns so many marks with names of so many bytes.
func tags(marks, bytes int) []store.Mark {
	all := make([]store.Mark, marks)
	for i := range all {
		number := fmt.Sprint(i)
		all[i] = tag(number + strings.Repeat("n", bytes-len(number)))
	}
	return all
}

// Where a record is missing between two parts, the second begins with the news; where the last are,
// the last part ends with it.
func TestARecordThatIsMissingBetweenParts(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	j := newJournal(b).(*journal)
	begin := appendMarks(t, j)
	last := appendMarks(t, j, tags(2*history.PartMarks, 20)...)
	remove := func(number uint64) {
		if err := b.client.XDel(t.Context(), j.key, recordID(number)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	second := begin + history.PartMarks + 1
	remove(second)
	marks, _, err := j.Since(t.Context(), second-1)
	if err != nil || marks[0] != history.Forgotten(second) || marks[1].Number != second+1 {
		t.Errorf("%v, %v; want what stands for %d, and the one after", marks[:2], err, second)
	}
	if marks, _ := since(t, j, begin); len(marks) != 2*history.PartMarks {
		t.Errorf("%d marks; want %d", len(marks), 2*history.PartMarks)
	}
	remove(last)
	marks, head := since(t, j, begin)
	if marks[len(marks)-1].Number != head {
		t.Errorf("the last mark is %v; want one with the head's number, %d", marks[len(marks)-1], head)
	}
}

// A watcher yields what there is in parts, each mark once.
func TestAWatcherReadsParts(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	j := newJournal(b)
	begin := appendMarks(t, j)
	for range 5 {
		appendMarks(t, j, tags(history.PartMarks, 100)...)
	}
	n := uint64(0)
	for m, err := range j.Watch(t.Context(), begin) {
		if n++; err != nil || m.Number != begin+n {
			t.Fatalf("mark %d is %v, %v", n, m, err)
		}
		if n == 5*history.PartMarks {
			break
		}
	}
}
