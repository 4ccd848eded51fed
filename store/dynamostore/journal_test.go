package dynamostore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

func tag(name string) store.Mark { return store.Mark{Kind: store.MarkTag, Name: name} }

func journalOf(b *Backend) *journal { return b.Journal("j:").(*journal) }

func mustAppend(tb testing.TB, j store.Journal, marks ...store.Mark) uint64 {
	tb.Helper()
	n, err := j.Append(tb.Context(), marks...)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// told returns what Since says after a number, all parts together, as a text: the names of marks,
// and "*" for what covers everything.
func told(tb testing.TB, j store.Journal, after uint64) (names string, head uint64) {
	tb.Helper()
	marks, head, err := invalidation.Since(tb.Context(), j, after)
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for i, m := range marks {
		switch {
		case m.Mark == history.All:
			all = append(all, "*")
		case i > 0 && m.Number != marks[i-1].Number+1 || i == 0 && m.Number != after+1:
			all = append(all, fmt.Sprintf("%s at %d", m.Name, m.Number))
		default:
			all = append(all, m.Name)
		}
	}
	if n := len(marks); n > 0 && marks[n-1].Number != head {
		tb.Errorf("the last mark has the number %d, the head is %d", marks[n-1].Number, head)
	}
	return strings.Join(all, " "), head
}

func wantTold(tb testing.TB, story string, j store.Journal, after uint64, want string) {
	tb.Helper()
	if got, _ := told(tb, j, after); got != want {
		tb.Errorf("%s: after %d: %q; want %q", story, after, got, want)
	}
}

// clients returns Backends of one table, each with connections of its own.
func clients(tb testing.TB, n int) (all []*Backend) {
	c := shared(tb)
	for range n {
		all = append(all, open(tb, c))
	}
	return all
}

// Of processes that append at once each mark has a number of its own, without a gap, and all who
// follow see all marks in one order, as soon as they are acknowledged.
func TestAppendsOfSeveralClients(t *testing.T) {
	t.Parallel()
	const each = 12
	all := clients(t, 4)
	begin := mustAppend(t, journalOf(all[0]))
	var working sync.WaitGroup
	for c, b := range all {
		working.Go(func() {
			j := journalOf(b)
			for i := range each {
				first, second := tag(fmt.Sprint(c, "/", i)), tag(fmt.Sprint(c, "/", i, "+"))
				n, err := j.Append(t.Context(), first, second)
				if err != nil {
					t.Error(err)
					return
				}
				marks, head, err := journalOf(all[(c+1)%len(all)]).Since(t.Context(), n-2)
				if err != nil || head < n || len(marks) < 2 ||
					marks[0] != (store.Numbered{Mark: first, Number: n - 1}) ||
					marks[1] != (store.Numbered{Mark: second, Number: n}) {
					t.Errorf("right after %d was acknowledged, another client's Since(%d) = %v, %d, %v",
						n, n-2, marks, head, err)
				}
			}
		})
	}
	working.Wait()
	want, head := told(t, journalOf(all[0]), begin)
	if n := uint64(len(all) * each * 2); head != begin+n || strings.ContainsAny(want, "*@") {
		t.Errorf("after %d: head %d, %s; want %d marks", begin, head, want, n)
	}
	for _, b := range all[1:] {
		wantTold(t, "another client", journalOf(b), begin, want)
	}
}

// A process that knows an old head appends after those that it has not seen.
func TestAppendBehindTheHead(t *testing.T) {
	t.Parallel()
	all := clients(t, 2)
	one, two := journalOf(all[0]), journalOf(all[1])
	begin := mustAppend(t, one)
	mustAppend(t, two, tag("a"))
	mustAppend(t, one, tag("b"), tag("c"))
	mustAppend(t, two, tag("d"))
	mustAppend(t, one, tag("e"))
	wantTold(t, "in turns", one, begin, "a b c d e")
	for after, want := range map[uint64]string{1: "b c d e", 2: "c d e", 3: "d e", 4: "e", 5: ""} {
		wantTold(t, "from the middle", two, begin+after, want)
	}
}

// A process that knows the head appends in two requests, and a poll is one.
func TestRequestsOfAJournal(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	j := journalOf(b)
	n := mustAppend(t, j, tag("a"))
	f.set(nil)
	mustAppend(t, j, tag("b"))
	if got := f.operations(); !slices.Equal(got, []string{"PutItem", "UpdateItem"}) {
		t.Errorf("Append: %v", got)
	}
	for _, after := range []uint64{n, n + 1} {
		f.set(nil)
		told(t, j, after)
		if got := f.operations(); !slices.Equal(got, []string{"Query"}) {
			t.Errorf("Since(%d) with head %d: %v", after, n+1, got)
		}
	}
}

// An Append that fails between its record and the head: who looks sees the mark, and no number
// is lost when the record is.
func TestAppendThatFailsHalfway(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	j := journalOf(b)
	begin := mustAppend(t, j)
	f.once("UpdateItem", func(string, []byte, func() answer) (answer, bool) {
		return refusal(400, "ThrottlingException"), true
	})
	_, err := j.Append(t.Context(), tag("a"))
	wantKind(t, "Append", err, store.KindTransient, "append", "Throttling")
	wantTold(t, "another", journalOf(b), begin, "a")
	for name, i := range allItems(t, b) { // as DynamoDB does with what has expired
		if !strings.HasSuffix(name, sortHead) {
			deleteItem(t, b, i)
		}
	}
	wantTold(t, "who has seen it", journalOf(b), begin+1, "")
	wantTold(t, "who has not", journalOf(b), begin, "*")
	if n := mustAppend(t, journalOf(b), tag("b")); n != begin+2 {
		t.Errorf("the next number is %d; want %d", n, begin+2)
	}
}

// DynamoDB deletes expired records in any order: what is missing counts as forgotten, with all
// before it.
func TestRecordsThatExpired(t *testing.T) {
	t.Parallel()
	b := clients(t, 1)[0]
	j := journalOf(b)
	begin := mustAppend(t, j)
	for i := range 5 {
		mustAppend(t, j, tag(fmt.Sprint("a", i)), tag(fmt.Sprint("b", i)))
	}
	drop := func(first uint64) {
		deleteItem(t, b, keyOf(j.key(), sortOf(first)))
	}
	drop(begin + 5) // a2 b2
	wantTold(t, "one in the middle", j, begin, "* a3 b3 a4 b4")
	wantTold(t, "from before it", j, begin+4, "* a3 b3 a4 b4")
	wantTold(t, "from within it", j, begin+5, "* a3 b3 a4 b4")
	wantTold(t, "from its end", j, begin+6, "a3 b3 a4 b4")
	drop(begin + 9)
	wantTold(t, "the newest", j, begin+6, "*")
	wantTold(t, "the newest, from its middle", j, begin+9, "*")
	wantTold(t, "the newest, from its end", j, begin+10, "")
}

// A query that runs while another process appends may miss a record and see what comes after it: it
// is not lost.
func TestQueryThatIsNoSnapshot(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	j := journalOf(b)
	begin := mustAppend(t, j)
	for i := range 3 {
		mustAppend(t, j, tag(fmt.Sprint("a", i)))
	}
	for missed := range 3 {
		f.once("Query", func(_ string, _ []byte, pass func() answer) (answer, bool) {
			a := pass()
			var out struct {
				Count, ScannedCount int
				Items               []json.RawMessage
			}
			if err := json.Unmarshal([]byte(a.body), &out); err != nil {
				t.Error(err)
			}
			out.Items = slices.Delete(out.Items, missed, missed+1)
			body, _ := json.Marshal(out)
			a.body = string(body)
			return a, true
		})
		wantTold(t, fmt.Sprint("record ", missed, " missed"), journalOf(b), begin, "a0 a1 a2")
	}
}

// A table that has lost the journal: it begins anew, above all that anybody has seen.
func TestLostJournal(t *testing.T) {
	t.Parallel()
	all2 := clients(t, 2)
	one, two := journalOf(all2[0]), journalOf(all2[1])
	mustAppend(t, one, tag("a"))
	last := mustAppend(t, one, tag("b"))
	wantTold(t, "before", two, last-1, "b")
	for _, i := range allItems(t, all2[0]) {
		deleteItem(t, all2[0], i)
	}
	n := mustAppend(t, one, tag("c")) // it believes to know the head
	if n <= last {
		t.Errorf("the first number of the new journal is %d; the last of the old one was %d", n, last)
	}
	wantTold(t, "who has seen the old one", two, last, "* c")
	wantTold(t, "who is new", two, 0, "* c")
	wantTold(t, "who has seen the new one", two, n, "")
}

// A head that is below what a watcher has seen, as of a table that comes from a backup.
func TestJournalFromABackup(t *testing.T) {
	t.Parallel()
	b := clients(t, 1)[0]
	j := journalOf(b)
	mustAppend(t, j, tag("a"))
	backup := allItems(t, b)
	last := mustAppend(t, j, tag("b"))
	for _, i := range allItems(t, b) {
		deleteItem(t, b, i)
	}
	for _, i := range backup {
		putItem(t, b, i)
	}
	again := journalOf(b)
	if marks, head, err := again.Since(t.Context(), last); len(marks) > 0 || head >= last || err != nil {
		t.Errorf("Since(%d): %v, %d, %v; want the head, which is below", last, marks, head, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for m, err := range again.Watch(ctx, last) {
		if err != nil || m.Mark != history.All || m.Number <= last {
			t.Errorf("Watch(%d) yields %+v, %v; want that everything is forgotten", last, m, err)
		}
		break
	}
	if n := mustAppend(t, journalOf(b), tag("c")); n <= last {
		t.Errorf("the next number is %d; %d was given out", n, last)
	}
	wantTold(t, "who had seen b", journalOf(b), last, "* c")
}

// The journal begins anew between an Append's record and its head: the mark comes after the
// beginning.
func TestAppendWhileTheJournalBeginsAnew(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	j := journalOf(b)
	begin := mustAppend(t, j, tag("a"))
	other := journalOf(unasked(t, Config{Region: region, Table: b.config.Table,
		Endpoint: f.server, Credentials: anybody}))
	var anew uint64
	f.once("UpdateItem", func(_ string, _ []byte, pass func() answer) (answer, bool) {
		h, _, err := other.readHead(t.Context(), "test")
		if err == nil {
			err = other.begin(t.Context(), "test", h, h.number+1000)
		}
		if err == nil {
			h, _, err = other.readHead(t.Context(), "test")
		}
		if anew = h.number; err != nil {
			t.Error(err)
		}
		return pass(), true
	})
	n := mustAppend(t, j, tag("b"))
	if n <= anew || anew <= begin {
		t.Errorf("the mark has the number %d; the journal began anew at %d", n, anew)
	}
	wantTold(t, "who has seen the new beginning", journalOf(b), anew, "b")
	wantTold(t, "who has not", journalOf(b), begin, "* b")
}

// The head is of another beginning than the process knows, whose clock is far ahead.
func TestBeginsAboveWhatWasSeen(t *testing.T) {
	t.Parallel()
	b := clients(t, 1)[0]
	j := journalOf(b)
	ahead := uint64(time.Now().Add(time.Hour).UnixMicro())
	if _, head, err := j.Since(t.Context(), ahead); head <= ahead || err != nil {
		t.Errorf("Since(%d) of no journal: head %d, %v", ahead, head, err)
	}
	other := b.Journal("other:").(*journal)
	if _, head, err := other.Since(t.Context(), 1<<63); head > ahead || err != nil {
		t.Errorf("Since of a number that no journal has: head %d, %v", head, err)
	}
}

// A journal remembers so many marks and bytes, whatever lies in the table.
func TestHowMuchAJournalRemembers(t *testing.T) {
	t.Parallel()
	b := clients(t, 1)[0]
	j := journalOf(b)
	begin := mustAppend(t, j)
	for i := range 6 {
		mustAppend(t, j, tag(fmt.Sprint("a", i)), tag(fmt.Sprint("b", i)))
	}
	j.marks = 5
	wantTold(t, "five marks", j, begin, "* b3 a4 b4 a5 b5")
	wantTold(t, "from within them", j, begin+9, "b4 a5 b5")
	j.marks, j.bytes = history.MaxMarks, 8
	wantTold(t, "eight bytes", j, begin, "* a4 b4 a5 b5")
}

// Marks that do not fit a record are in pieces, under numbers that follow each other; a piece that
// is gone is as a record that is.
func TestMarksInPieces(t *testing.T) {
	t.Parallel()
	b := clients(t, 1)[0]
	j := journalOf(b)
	j.room = 100
	begin := mustAppend(t, j, tag("before"))
	var marks []store.Mark
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("name-%02d", i))
		marks = append(marks, tag(names[i]))
	}
	if n := mustAppend(t, j, marks...); n != begin+20 {
		t.Errorf("20 marks after %d end at %d", begin, n)
	}
	mustAppend(t, j, tag("after"))
	wantTold(t, "all", j, begin, strings.Join(names, " ")+" after")
	wantTold(t, "from within", j, begin+15, strings.Join(names[15:], " ")+" after")
	mustAppend(t, j, tag(strings.Repeat("n", 101)))
	wantTold(t, "a name that is too long", j, begin+21, "*")
	deleted := false
	for name, i := range allItems(t, b) {
		if strings.HasPrefix(name, piecesKeys) && !deleted {
			deleteItem(t, b, i)
			deleted = true
		}
	}
	wantTold(t, "a piece is gone", j, begin, "* after *")
}

// Records that we cannot read, or only in part, cover everything, and their numbers count.
func TestRecordsOfAnother(t *testing.T) {
	t.Parallel()
	for story, spoil := range map[string]func(i item){
		"no marks":            func(i item) { delete(i, attrMarks) },
		"marks of text":       func(i item) { i[attrMarks] = text("ta") },
		"a mark too many":     func(i item) { i[attrMarks] = pieces([]store.Mark{tag("a"), tag("b")}, 1000)[0] },
		"a kind of later":     func(i item) { i[attrMarks] = pieces([]store.Mark{tag("a")}, 1000)[0]; spoilLetter(i) },
		"pieces that are not": func(i item) { i[attrPieces] = number(3) },
	} {
		b := clients(t, 1)[0]
		j := journalOf(b)
		begin := mustAppend(t, j)
		mustAppend(t, j, tag("a"))
		mustAppend(t, j, tag("b"))
		i := allItems(t, b)[j.key()+" "+sortOf(begin+1)]
		spoil(i)
		putItem(t, b, i)
		wantTold(t, story, j, begin, "* b")
	}
}

func spoilLetter(i item) {
	first := i[attrMarks].(*types.AttributeValueMemberL).Value[0]
	first.(*types.AttributeValueMemberB).Value[0] = '?'
}

// A watcher ends with an error when its Backend is closed.
func TestWatchOfAClosedBackend(t *testing.T) {
	t.Parallel()
	b := clients(t, 1)[0]
	j := journalOf(b)
	n := mustAppend(t, j, tag("a"))
	var last error
	for m, err := range j.Watch(t.Context(), n-1) {
		if err == nil && m.Name == "a" {
			b.Close()
		}
		last = err
	}
	wantKind(t, "Watch", last, store.KindPermanent, "closed")
}

// The list of members has an end.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	b := clients(t, 1)[0]
	j := journalOf(b)
	j.members = 3
	renew := func(id string) error { return j.Renew(t.Context(), store.Member{ID: id}) }
	if err := errors.Join(renew("a"), renew("b"), renew("c"), renew("b")); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a fourth", renew("d"), store.KindPermanent, "3 members already")
	i := allItems(t, b)[j.memberKey()+" a"]
	i[attrEnd] = number(time.Now().UnixMilli() - 1)
	putItem(t, b, i)
	if err := renew("d"); err != nil {
		t.Errorf("the place of one whose lease has ended: %v", err)
	}
	i = allItems(t, b)[j.memberKey()+" b"]
	i[attrApplied] = text("many")
	putItem(t, b, i)
	_, err := j.Members(t.Context())
	wantKind(t, "a member of another program", err, store.KindPermanent, "not ours")
}
