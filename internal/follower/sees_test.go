package follower

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// sees checks of which numbers f sees.
func sees(t *testing.T, f *Follower, story string, want map[uint64]bool) {
	t.Helper()
	for number, wanted := range want {
		if got := f.Sees(number); got != wanted {
			t.Errorf("%s: Sees(%d) is %v", story, number, got)
		}
	}
}

// A number is seen once it and all before it are applied, also where the newest one is this
// process's own, and also where the journal has been lost meanwhile.
func TestWhichNumbersAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(10)
		f := follow(j)
		f.catchUp(t.Context())
		j.others(t, "theirs")              // 11
		f.Append(t.Context(), key("mine")) // 12
		sees(t, f, "a mark is missing", map[uint64]bool{10: true, 11: false, 12: false})
		j.on(func(string) error { return errRefused })
		if f.Reach(13) || f.Reach(12) == f.Sees(12) {
			t.Error("what is only this process's newest number is seen, or not known")
		}
		j.fails.Store(nil)
		f.catchUp(t.Context())
		sees(t, f, "all marks are here", map[uint64]bool{11: true, 12: true, 13: false})
		if f.Seen() != 12 {
			t.Errorf("seen up to %d", f.Seen())
		}
		j.on(func(string) error { return errRefused })
		f.catchUp(t.Context())
		sees(t, f, "the journal is away", map[uint64]bool{12: true, 13: false})
	})
}

// A number from before the journal began anew may be that of a mark that was lost.
func TestNumbersFromBeforeTheJournalBeganAnew(t *testing.T) {
	for story, begins := range map[string]func(*testing.T, *journal){
		"it knows that it lost some": func(t *testing.T, j *journal) {
			j.failsOver(1000, 5)
			j.others(t, "new")
		},
		"it does not know": func(t *testing.T, j *journal) {
			j.holds.Store(memjournal.NewAfter(9))
		},
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newJournal(10)
				f := follow(j)
				f.catchUp(t.Context())
				j.others(t, "one") // 11
				f.catchUp(t.Context())
				sees(t, f, "before", map[uint64]bool{11: true})
				begins(t, j)
				f.catchUp(t.Context())
				j.others(t, "two", "three", "four")
				f.catchUp(t.Context())
				sees(t, f, "after", map[uint64]bool{9: false, 11: false, f.Head() + 1: false})
				j.others(t, "five")
				f.catchUp(t.Context())
				sees(t, f, "a new number", map[uint64]bool{11: false, f.Head(): true})
			})
		})
	}
}

// While an old server lives on beside the new one, both give out numbers by the clock: one that no mark
// has here is the other's, until everything is invalidated by a greater one. Marks that are no longer
// remembered count as seen.
func TestANumberOfAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(newJournal(10))
		f.catchUp(t.Context())
		learn := func(m store.Mark, number uint64) { f.learn([]store.Numbered{{Mark: m, Number: number}}) }
		learn(key("one")[0], 20)
		learn(key("two")[0], 30)
		sees(t, f, "gaps", map[uint64]bool{10: true, 19: false, 20: true, 25: false, 30: true, 31: false})
		learn(store.Mark{Kind: store.MarkEverything, Soft: true}, 40)
		sees(t, f, "all is stale", map[uint64]bool{25: false, 39: false, 40: true})
		learn(store.Mark{Kind: store.MarkEverything}, 50)
		sees(t, f, "all is invalidated", map[uint64]bool{25: true, 49: true, 50: true, 51: false})
		for n := range uint64(maxRecent + 1) {
			learn(key("many")[0], 100+2*n)
		}
		last := uint64(100 + 2*maxRecent)
		sees(t, f, "many", map[uint64]bool{60: true, 101: true, last - 1: false, last: true})
	})
}

// Without a journal that others share there is nothing to see.
func TestNumbersWithoutAJournal(t *testing.T) {
	sees(t, follow(nil), "alone", map[uint64]bool{0: true, 1 << 60: true})
}

// Marks that the journal has not taken are owed to it until it takes them.
func TestWhatIsOwed(t *testing.T) {
	watch(t, 10, well, func(t *testing.T, w *watched) {
		if w.Owes() {
			t.Error("marks are owed at the start")
		}
		w.journal.on(func(string) error { return errRefused })
		w.Append(t.Context(), key("mine"))
		if !w.Owes() {
			t.Error("a mark that was not taken is not owed")
		}
		w.journal.fails.Store(nil)
		w.after(3 * time.Second)
		if w.Owes() {
			t.Error("marks are owed that were sent")
		}
	})
}

// The journal is asked for marks that are missing below this process's own newest one, and for no
// others. While it does not answer, a fill counts as older than the marks that are missing.
func TestMarksThatAreMissingBelowTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(10)
		f := follow(j)
		f.catchUp(t.Context())
		asks := 0
		count := func(answer error) {
			j.on(func(call string) error {
				if call == "since" {
					asks++
					return answer
				}
				return nil
			})
		}
		lacks := func(story string, lacks bool, seen uint64, asked int) {
			t.Helper()
			f.Complete()
			if f.Lacks() != lacks || f.Seen() != seen || asks != asked {
				t.Errorf("%s: lacks some: %v; seen up to %d; asked %d times; want %v, %d, %d", story,
					f.Lacks(), f.Seen(), asks, lacks, seen, asked)
			}
		}
		count(nil)
		f.Append(t.Context(), key("mine")) // 11
		lacks("its own newest", false, 11, 0)
		j.others(t, "theirs") // 12
		lacks("another's newest, of which it has not heard", false, 11, 0)
		f.Append(t.Context(), key("mine")) // 13
		lacks("another's below its own", false, 13, 1)
		covers(t, f, "theirs", 11, invalidation.CoverageHard)
		j.others(t, "theirs")              // 14
		f.Append(t.Context(), key("mine")) // 15
		count(errRefused)
		lacks("the journal does not answer", true, 13, 2)
		lacks("nor did it before", true, 13, 2)
		count(nil)
		f.catchUp(t.Context())
		lacks("it is back", false, 15, 3)
	})
}

// Without a journal no mark is ever missing below the newest one that has been applied, although
// many are appended at once and another one meanwhile.
func TestAMarkThatIsAppendedWhileManyAre(t *testing.T) {
	f := New(Options{})
	begin := f.Head()
	many := make([]store.Mark, 20_000)
	for i := range many {
		many[i] = store.Mark{Kind: store.MarkKey, Name: fmt.Sprintf("%d/%4000d", i, i)}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Append(t.Context(), many)
	}()
	for f.Head() == begin {
		runtime.Gosched()
	}
	f.Append(t.Context(), key("another"))
	last := &store.Entry{Key: many[len(many)-1].Name, Number: begin}
	if seen := f.Seen() - begin; seen > uint64(len(many)) && f.Covers(last) == invalidation.CoverageNone {
		t.Errorf("seen up to the %dth mark, and the %dth covers nothing", seen, len(many))
	}
	<-done
}
