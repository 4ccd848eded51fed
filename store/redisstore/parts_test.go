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
			for p := range parts(t, j, 0) {
				many++
				bytes := 0
				for _, m := range p.marks[:len(p.marks)-1] {
					bytes += len(m.Name)
				}
				if len(p.marks) > tt.most+1 || bytes >= history.PartBytes || p.head != last {
					t.Errorf("part %d has %d marks, of %d bytes before the last, head %d; want %d "+
						"marks, %d bytes, head %d", many, len(p.marks), bytes, p.head, tt.most,
						history.PartBytes, last)
				}
				got = append(got, p.marks...)
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
	var got [][]store.Numbered
	for p := range parts(t, j, begin) {
		got = append(got, p.marks)
	}
	if len(got) != 2 || got[0][len(got[0])-1].Number != second-1 ||
		got[1][0] != history.Forgotten(second) || got[1][1].Number != second+1 {
		t.Errorf("%d parts; want two, and the second to begin with what stands for %d", len(got),
			second)
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
