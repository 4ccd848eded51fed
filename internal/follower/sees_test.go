package follower

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
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
		f.catchUp()
		j.others(t, "theirs")              // 11
		f.Append(t.Context(), key("mine")) // 12
		sees(t, f, "a mark is missing", map[uint64]bool{10: true, 11: false, 12: false})
		j.on(func(string) error { return errRefused })
		if f.Reach(13) || f.Reach(12) == f.Sees(12) {
			t.Error("what is only this process's newest number is seen, or not known")
		}
		j.fails.Store(nil)
		f.catchUp()
		sees(t, f, "all marks are here", map[uint64]bool{11: true, 12: true, 13: false})
		if f.Seen() != 12 {
			t.Errorf("seen up to %d", f.Seen())
		}
		j.on(func(string) error { return errRefused })
		f.catchUp()
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
				f.catchUp()
				j.others(t, "one") // 11
				f.catchUp()
				sees(t, f, "before", map[uint64]bool{11: true})
				begins(t, j)
				f.catchUp()
				j.others(t, "two", "three", "four")
				f.catchUp()
				sees(t, f, "after", map[uint64]bool{9: false, 11: false, f.Head() + 1: false})
				j.others(t, "five")
				f.catchUp()
				sees(t, f, "a new number", map[uint64]bool{11: false, f.Head(): true})
			})
		})
	}
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
