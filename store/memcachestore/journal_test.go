package memcachestore

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// journalOn returns a journal of its own, and the vendor's client on the same servers.
func journalOn(t *testing.T, addresses ...string) (*journal, *memcache.Client) {
	b := open(t, patient, addresses...)
	raw := memcache.NewFromSelector(b.servers)
	t.Cleanup(func() { raw.Close() })
	return b.Journal(fmt.Sprint("journal-", prefixes.Add(1), ":")).(*journal), raw
}

func key(name string) store.Mark { return store.Mark{Kind: store.MarkKey, Name: name} }

// everything is what stands for forgotten marks up to a number.
func everything(number uint64) store.Numbered {
	return store.Numbered{Mark: store.Mark{Kind: store.MarkEverything}, Number: number}
}

// beginning is what a journal says that begins at a number.
func beginning(number uint64) store.Numbered {
	m := everything(number)
	m.After = number - 1
	return m
}

func mustAppend(t *testing.T, j store.Journal, marks ...store.Mark) uint64 {
	t.Helper()
	n, err := j.Append(t.Context(), marks...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantSince checks what Since says.
func wantSince(t *testing.T, j store.Journal, number uint64, head uint64, marks ...store.Numbered) {
	t.Helper()
	got, h, err := invalidation.Since(t.Context(), j, number)
	if err != nil {
		t.Fatal(err)
	}
	if h != head || !reflect.DeepEqual(got, marks) {
		t.Errorf("Since(%d): %v, head %d; want %v, head %d", number, got, h, marks, head)
	}
}

func TestAJournalBeginsAtTheClock(t *testing.T) {
	before := uint64(time.Now().UnixMicro())
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	begin := mustAppend(t, j)
	if after := uint64(time.Now().UnixMicro()); begin < before || begin > after {
		t.Errorf("began at %d, between %d and %d", begin, before, after)
	}
	if item, err := raw.Get(j.recordKey(begin)); err != nil || string(item.Value) != string(beginningRecord()) {
		t.Errorf("where it begins: %v, %v; a reader would wait for a mark", item, err)
	}
	wantSince(t, j, 0, begin, beginning(begin))
	wantSince(t, j, begin-1, begin, beginning(begin))
	wantSince(t, j, begin, begin)
	for range 2 {
		n := mustAppend(t, j, key("a"), key("b"))
		begin += 2
		want(t, "number", n, begin)
	}
}

func TestTwoProcessesBeginAJournalAtOnce(t *testing.T) {
	s := testserver.SharedMemcached(t)
	for range 20 {
		var all sync.WaitGroup
		var heads [4]uint64
		one, _ := journalOn(t, s.Addr)
		for i := range heads {
			other := open(t, patient, s.Addr).Journal(one.prefix)
			all.Go(func() { heads[i], _ = other.Append(t.Context()) })
		}
		all.Wait()
		if heads[0] == 0 || heads != [4]uint64{heads[0], heads[0], heads[0], heads[0]} {
			t.Fatalf("they began at %v", heads)
		}
	}
}

func TestALostJournalIsEverything(t *testing.T) {
	s := testserver.Memcached(t)
	j, raw := journalOn(t, s.Addr)
	for name, lose := range map[string]func() error{
		"restart":      func() error { s.Kill(); s.Start(); return nil },
		"flushed":      raw.FlushAll,
		"head evicted": func() error { return raw.Delete(j.key("head")) },
	} {
		raw.Close() // its connections may be from before the restart
		last := mustAppend(t, j, key("a"), key("b"), key("c"))
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		other := open(t, patient, s.Addr).Journal(j.prefix) // of a process that knows nothing
		marks, head, err := other.Since(t.Context(), last)
		if err != nil || head <= last || !reflect.DeepEqual(marks,
			[]store.Numbered{beginning(head)}) {
			t.Errorf("%s: Since(%d): %v, head %d, %v; want everything, and greater numbers", name,
				last, marks, head, err)
		}
		n := mustAppend(t, j, key("d"))
		want(t, name+": the next number", n, head+1)
		wantSince(t, j, last, n, beginning(head), store.Numbered{Mark: key("d"), Number: n})
	}
}

// A process that knows of greater numbers than the clock begins the journal after them.
func TestAJournalThatBeginsAnewWithASlowClock(t *testing.T) {
	j, _ := journalOn(t, testserver.SharedMemcached(t).Addr)
	seen := uint64(time.Now().Add(time.Hour).UnixMicro())
	marks, head, err := j.Since(t.Context(), seen)
	if err != nil || head != seen+1 || !reflect.DeepEqual(marks,
		[]store.Numbered{beginning(head)}) {
		t.Errorf("Since(%d): %v, head %d, %v", seen, marks, head, err)
	}
}

func TestAnEvictedMarkIsEverything(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	begin := mustAppend(t, j)
	for _, name := range []string{"a", "b", "c", "d"} {
		mustAppend(t, j, key(name))
	}
	if err := raw.Delete(j.recordKey(begin + 2)); err != nil {
		t.Fatal(err)
	}
	c, d := store.Numbered{Mark: key("c"), Number: begin + 3}, store.Numbered{Mark: key("d"),
		Number: begin + 4}
	wantSince(t, j, begin+2, begin+4, c, d)
	start := time.Now()
	wantSince(t, j, begin, begin+4, everything(begin+2), c, d)
	if took := time.Since(start); took < writePatience/2 {
		t.Errorf("it did not wait for a writer: %v", took)
	}
	// Now it is written down, so that other processes need not wait.
	if item, err := raw.Get(j.recordKey(begin + 2)); err != nil || string(item.Value) != string(forgottenRecord()) {
		t.Errorf("in place of the lost record: %v, %v", item, err)
	}
	wantSince(t, j, begin, begin+4, everything(begin+2), c, d)
}

// A number is given out a moment before its mark is written. Readers must not pass it by.
func TestAMarkOnItsWay(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	h, err := j.head(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Increment(j.key("head"), 2); err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		time.Sleep(50 * time.Millisecond)
		if err := j.write(t.Context(), "test", h.generation, h.number+2,
			appendRecord(nil, []store.Mark{key("a"), key("b")})); err != nil {
			t.Error(err)
		}
	})
	wantSince(t, j, h.number, h.number+2,
		store.Numbered{Mark: key("a"), Number: h.number + 1}, store.Numbered{Mark: key("b"),
			Number: h.number + 2})
	writer.Wait()
}

// A writer that took a number and stopped holds nobody up for long; when it goes on, its mark is
// covered.
func TestAWriterThatComesTooLate(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	h, err := j.head(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Increment(j.key("head"), 1); err != nil {
		t.Fatal(err)
	}
	hurried, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	start := time.Now()
	marks, head, err := j.Since(hurried, h.number)
	if err != nil || head != h.number+1 || !reflect.DeepEqual(marks,
		[]store.Numbered{everything(head)}) {
		t.Errorf("Since: %v, head %d, %v; want everything, within the context", marks, head, err)
	}
	if took := time.Since(start); took > 550*time.Millisecond {
		t.Errorf("Since took %v of the 600ms that it had", took)
	}
	if err := j.write(t.Context(), "test", h.generation, head,
		appendRecord(nil, []store.Mark{key("a")})); err != nil {
		t.Error(err)
	}
	wantSince(t, j, h.number, head, everything(head))
}

// After a loss with the clock set back numbers come a second time. A mark of the first time is
// none.
func TestAMarkOfALostJournal(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	begin := mustAppend(t, j)
	mustAppend(t, j, key("old"))
	anew := &memcache.Item{Key: j.key("head"), Value: strconv.AppendUint(nil, begin, 10),
		Flags: 12345}
	if err := raw.Set(anew); err != nil {
		t.Fatal(err)
	}
	n, err := raw.Increment(j.key("head"), 1) // by a writer that is about to write its mark
	if err != nil {
		t.Fatal(err)
	}
	wantSince(t, j, begin, begin+1, everything(n)) // not "old", and not nothing
}

func TestMarksThatDoNotFit(t *testing.T) {
	c := patient
	c.MaxItemSize = 16 << 10
	j := open(t, c, testserver.SharedMemcached(t).Addr).Journal("small:").(*journal)
	begin := mustAppend(t, j)
	long, huge := strings.Repeat("l", 10_000), strings.Repeat("h", 20_000)
	last := mustAppend(t, j, key(long), key("a"), key(long), key("b"), key(huge), key("c"))
	want(t, "number", last, begin+6)
	at := func(i uint64, name string) store.Numbered {
		return store.Numbered{Mark: key(name), Number: begin + i}
	}
	wantSince(t, j, begin+5, last, at(6, "c"))
	wantSince(t, j, begin, last, everything(begin+5), at(6, "c"))
	last = mustAppend(t, j, key(long), key("d"), key(long), key("e"))
	wantSince(t, j, begin+6, last, at(7, long), at(8, "d"), at(9, long), at(10, "e"))
	wantSince(t, j, begin+8, last, at(9, long), at(10, "e"))
}

func TestManyMarksAreRemembered(t *testing.T) {
	j, _ := journalOn(t, testserver.SharedMemcached(t).Addr)
	begin := mustAppend(t, j)
	const appends, each = 300, 40
	marks := make([]store.Mark, each)
	for i := range marks {
		marks[i] = store.Mark{Kind: store.MarkTag, Name: fmt.Sprint("tag-", i), Soft: i%2 == 0}
	}
	for range appends {
		mustAppend(t, j, marks...)
	}
	got, head, err := invalidation.Since(t.Context(), j, begin)
	if err != nil || head != begin+appends*each || len(got) != appends*each {
		t.Fatalf("%d marks, head %d, %v", len(got), head, err)
	}
	for i, m := range got {
		if m != (store.Numbered{Mark: marks[i%each], Number: begin + uint64(i) + 1}) {
			t.Fatalf("mark %d is %v", i, m)
		}
	}
}

// A reader that is too far behind is not sent everything there is.
func TestWhatSinceReturnsIsBounded(t *testing.T) {
	j, _ := journalOn(t, testserver.SharedMemcached(t).Addr)
	begin := mustAppend(t, j)
	marks := make([]store.Mark, 10_000)
	for i := range marks {
		marks[i] = key(fmt.Sprint("page-", i))
	}
	for range 8 {
		mustAppend(t, j, marks...)
	}
	got, head, err := invalidation.Since(t.Context(), j, begin)
	if err != nil || head != begin+80_000 || len(got) > history.MaxMarks+10_001 ||
		got[0] != everything(got[1].Number-1) {
		t.Errorf("%d marks, head %d, %v", len(got), head, err)
	}
}

func TestAJournalThatIsNone(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	if err := raw.Set(&memcache.Item{Key: j.key("head"), Value: []byte("theirs")}); err != nil {
		t.Fatal(err)
	}
	_, err := j.Append(t.Context(), key("a"))
	wantKind(t, "Append", err, store.KindPermanent, "not a number")
	for _, prefix := range []string{"a~b", "a b", strings.Repeat("p", 201)} {
		_, err := j.backend.Journal(prefix).Append(t.Context(), key("a"))
		wantKind(t, prefix, err, store.KindPermanent, "prefix")
	}
}

func TestWatchOfAJournalThatWentBack(t *testing.T) {
	j, _ := journalOn(t, testserver.SharedMemcached(t).Addr)
	head := mustAppend(t, j, key("a"))
	for m, err := range j.Watch(t.Context(), head+1000) {
		wantKind(t, fmt.Sprint("Watch yielded ", m), err, store.KindPermanent, "was lost")
	}
}

func TestWatchEndsWhenTheServerDies(t *testing.T) {
	s := testserver.Memcached(t)
	j, _ := journalOn(t, s.Addr)
	head := mustAppend(t, j)
	ended := make(chan error)
	go func() {
		var last error
		n := 0
		for _, last = range j.Watch(t.Context(), head) {
			n++
		}
		if n != 1 {
			t.Errorf("yielded %d times, want one error", n)
		}
		ended <- last
	}()
	time.Sleep(10 * time.Millisecond)
	s.Kill()
	select {
	case err := <-ended:
		wantKind(t, "Watch", err, store.KindTransient, s.Addr)
	case <-time.After(10 * time.Second):
		t.Error("still watching a dead server")
	}
}
