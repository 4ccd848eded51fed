package memcachestore

import (
	"fmt"
	"slices"
	"testing"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// wantParts checks how many marks each answer of Since has, from a number on, and returns them all.
func wantParts(t *testing.T, j *journal, number uint64, want ...int) (all []store.Numbered) {
	t.Helper()
	head := mustAppend(t, j)
	var got []int
	for at := number; at < head; {
		marks, now, err := j.Since(t.Context(), at)
		if err != nil || len(marks) == 0 || now != head {
			t.Fatalf("part %d: %d marks, head %d, %v; want head %d", len(got), len(marks), now, err,
				head)
		}
		got, all = append(got, len(marks)), append(all, marks...)
		at = marks[len(marks)-1].Number
	}
	if !slices.Equal(got, want) {
		t.Errorf("Since(%d): parts of %d marks; want %d", number, got, want)
	}
	return all
}

func fillSingly(t *testing.T, j *journal, marks int) {
	t.Helper()
	for i := range marks {
		mustAppend(t, j, key(fmt.Sprint(i)))
	}
}

// However much a journal remembers, one Since reads no more than the records that begin in a part of
// it, from wherever it is asked.
func TestAJournalIsReadInParts(t *testing.T) {
	const part = history.PartMarks
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	begin := mustAppend(t, j)
	fillSingly(t, j, part)
	wantParts(t, j, begin, part)
	fillSingly(t, j, 1)
	for i, m := range wantParts(t, j, begin, part, 1) {
		if m != (store.Numbered{Mark: key(fmt.Sprint(i % part)), Number: begin + 1 + uint64(i)}) {
			t.Fatalf("mark %d is %v", i, m)
		}
	}
	// a process that knows nothing finds where a young journal begins
	all := wantParts(t, j, 0, 1+part, 1)
	if all[0] != beginning(begin) {
		t.Errorf("the first mark is %v; want the beginning", all[0])
	}
	// ... and searches in vain only once
	if gap := j.gap.Load(); gap == nil || gap.last < begin-history.MaxMarks/2 || gap.last >= begin {
		t.Errorf("it has noted as empty %v; want what is below %d", gap, begin)
	}

	// a record of many marks is read as one
	long := make([]store.Mark, 3*part)
	for i := range long {
		long[i] = key(fmt.Sprint("long ", i))
	}
	mustAppend(t, j, long...)
	fillSingly(t, j, part)
	wantParts(t, j, begin, part, 1+len(long), part)

	// what stands for a record that the server has lost is in the part that would end with it
	lost := begin + part
	if err := raw.Delete(j.recordKey(lost)); err != nil {
		t.Fatal(err)
	}
	if all := wantParts(t, j, begin, 2, len(long), part); all[0] != everything(lost) {
		t.Errorf("the first mark is %v; want what stands for all up to %d", all[0], lost)
	}
}

// Of a journal that remembers more than it must, a process that is far behind reads what it must.
func TestAJournalThatIsFarAhead(t *testing.T) {
	j, _ := journalOn(t, testserver.SharedMemcached(t).Addr)
	begin := mustAppend(t, j)
	marks := make([]store.Mark, 1000)
	for i := range marks {
		marks[i] = key(fmt.Sprint(i))
	}
	for range 70 {
		mustAppend(t, j, marks...)
	}
	for _, number := range []uint64{0, begin, begin + 10} {
		got, head, err := invalidation.Since(t.Context(), j, number)
		if err != nil || head != begin+70_000 || len(got) != history.MaxMarks+1 ||
			got[0] != everything(head-history.MaxMarks) || got[1].Number != got[0].Number+1 {
			t.Errorf("Since(%d): %d marks, the first %v, head %d, %v", number, len(got), got[0],
				head, err)
		}
	}
}
