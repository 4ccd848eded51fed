package follower

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// names returns what the journal holds, in short: names, "*" for everything.
func (j *journal) names(t *testing.T) (all []string) {
	t.Helper()
	marks, _, err := j.holds.Load().Since(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks[1:] { // the first is its beginning
		if m.Kind == store.MarkEverything {
			m.Name = "*"
		}
		all = append(all, m.Name)
	}
	slices.Sort(all)
	return all
}

// A server that takes over may lack the newest marks, and the old one may have taken some after the
// new one began. A follower that knows of them appends them again, and serves nothing that they cover until
// then. What the new server knows is not repeated. What another process has appended again is: that
// may have been of an earlier change.
func TestMarksThatTheJournalLost(t *testing.T) {
	var w *watched
	fails := func(call string, n int) error {
		if call == "append" && n == 3 { // the first two are its own
			covers(t, w.Follower, "mine", 1000, invalidation.CoverageHard)
		}
		return nil
	}
	w = watch(t, 10, fails, func(t *testing.T, f *watched) {
		w = f
		w.journal.others(t, "known") // 11
		w.after(0)
		w.Append(t.Context(), key("mine"))   // 12
		w.Append(t.Context(), key("mine"))   // 13
		w.journal.others(t, "theirs", "own") // 14, 15
		w.after(0)
		w.journal.failsOver(1000, 11)
		w.journal.others(t, "new", "own") // of the process whose mark was lost
		covers(t, w.Follower, "mine", 1000, invalidation.CoverageNone)
		w.after(time.Second)
		if got := w.journal.names(t); !slices.Equal(got, []string{"mine", "new", "own", "own",
			"theirs"}) {
			t.Errorf("the journal has %q", got)
		}
		covers(t, w.Follower, "mine", 1002, invalidation.CoverageHard)
		covers(t, w.Follower, "known", 999, invalidation.CoverageHard)
		covers(t, w.Follower, "known", 1000, invalidation.CoverageNone)
		if s := w.Status(time.Now()); !s.InTouch || s.Unsent != 0 {
			t.Errorf("afterwards: %+v", s)
		}
		w.logs(t, `"level=WARN msg="freshet: journal: its server may have lost`[1:])
		w.after(3 * time.Second)
		w.counted(t, "append", 3)
	})
}

// A server that knows of nothing, as one that restarts without its data, gets all marks again that
// are remembered: those of names, and not what stood for marks that others know of. That is no line
// in the log of an outage.
func TestAServerThatKnowsOfNothing(t *testing.T) {
	watch(t, 10, well, func(t *testing.T, w *watched) {
		w.Append(t.Context(), key("mine"))
		for _, at := range []uint64{1000, 2000} {
			w.journal.failsOver(at, 1)
			w.after(2 * time.Second)
			if got := w.journal.names(t); !slices.Equal(got, []string{"mine"}) {
				t.Errorf("the journal has %q", got)
			}
		}
		w.logs(t)
	})
}

// What the watcher hears first is appended again at once.
func TestAWatcherHearsThatTheJournalBeganAnew(t *testing.T) {
	watch(t, 10, well, func(t *testing.T, w *watched) {
		w.Append(t.Context(), key("mine"))
		w.after(time.Second / 2)
		w.journal.failsOver(1000, 10)
		w.learn([]store.Numbered{{Mark: store.Mark{Kind: store.MarkEverything}, Number: 1000,
			After: 10}})
		covers(t, w.Follower, "mine", 1000, invalidation.CoverageHard)
		w.after(0)
		w.counted(t, "append", 2)
		w.learn([]store.Numbered{{Mark: store.Mark{Kind: store.MarkEverything}, Number: 1000,
			After: 10}}) // as another call may have it
		w.after(time.Second)
		w.counted(t, "append", 2)
	})
}

// Of more marks than are remembered, one that covers everything is appended, and only where one of
// those that are forgotten may be lost.
func TestMoreMarksThanAreRemembered(t *testing.T) {
	for _, c := range []struct {
		names, length int
		after         uint64
		want          string
	}{
		{maxRecent, 10, 10, "n"},
		{maxRecent + 1, 10, 10, "*"},
		{maxRecent + 1, 10, 10 + maxRecent - 5, "n"},
		{maxRecentBytes/512 + 1, 512, 10, "*"}, // a longer name is its digest
		{maxRecentBytes/512 + 1, 512, 10 + maxRecentBytes/512, "n"},
	} {
		watch(t, 10, well, func(t *testing.T, w *watched) {
			for i := range c.names {
				name := fmt.Sprintf("n%0*d", c.length-1, i)
				if _, err := w.Append(t.Context(), key(name)); err != nil {
					t.Fatal(err)
				}
			}
			w.after(0)
			w.journal.failsOver(1_000_000, c.after)
			w.after(time.Second)
			got := w.journal.names(t)
			want := 1
			if c.want == "n" {
				want = c.names - int(c.after-10)
			}
			if len(got) != want || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("%d names of %d bytes, known up to %d: %d marks, first %.5q; want %d of %q",
					c.names, c.length, c.after, len(got), got[0], want, c.want)
			}
			if n := len(w.recent.marks); n > maxRecent || w.recent.bytes > maxRecentBytes {
				t.Errorf("it remembers %d marks of %d bytes", n, w.recent.bytes)
			}
		})
	}
}

// A process that begins knows of nothing that was lost.
func TestABeginningThatIsReadAtTheStart(t *testing.T) {
	j := newJournal(10)
	j.failsOver(1000, 5)
	j.others(t, "page")
	f := follow(j)
	f.catchUp(t.Context())
	if marks, _ := f.unsent.all(); len(marks) != 0 || f.Head() != 1001 {
		t.Errorf("it holds %v, and its head is %d", marks, f.Head())
	}
}

// An entry whose number is above all that is known proves that marks are missing: the journal is
// asked at once, once for all who come meanwhile.
func TestAnEntryAboveTheHead(t *testing.T) {
	watch(t, 10, well, func(t *testing.T, w *watched) {
		w.after(time.Second / 2)
		// nobody announces what is appended so
		w.journal.blank.Store(3)
		if !w.Knows(10) || w.Knows(11) {
			t.Errorf("up to 10: %t, up to 11: %t", w.Knows(10), w.Knows(11))
		}
		w.journal.on(func(call string) error {
			w.called(call)
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		for _, ask := range []struct {
			number uint64
			known  bool
		}{{13, true}, {14, false}} {
			w.reaching <- struct{}{} // so that all have come before one asks
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					if w.Reach(ask.number) != ask.known {
						t.Errorf("%d is known: %t, want %t", ask.number, !ask.known, ask.known)
					}
				})
			}
			synctest.Wait()
			<-w.reaching
			all.Wait()
		}
		w.asked(t, 0, 0, 500, 600) // once for 13, and once for 14
	})
}

// A journal that does not answer costs one question, and what is above all that this process was
// given is unknown.
func TestAnEntryAboveTheHeadOfAJournalThatIsDown(t *testing.T) {
	watch(t, 10, well, func(t *testing.T, w *watched) {
		w.journal.blank.Store(1) // a mark of which nothing is known yet
		w.journal.others(t, "one")
		w.seen.Store(10)
		w.after(time.Second / 2)
		w.seen.Store(10)
		w.journal.on(func(call string) error {
			w.called(call)
			time.Sleep(100 * time.Millisecond)
			return errRefused
		})
		for range 3 {
			if w.Reach(12) || !w.Reach(11) {
				t.Error("12 is known, or 11 is not, which is the newest that was heard of")
			}
		}
		w.asked(t, 0, 0, 500)
		w.journal.fails.Store(nil)
	})
}

// A journal that was lost is no answer, and not for a request to begin anew.
func TestAnEntryAboveTheHeadOfAJournalThatWasLost(t *testing.T) {
	watch(t, 10, well, func(t *testing.T, w *watched) {
		w.journal.others(t, "one")
		w.after(0)
		w.journal.failsOver(5, 1)
		if w.Reach(12) || w.Head() != 11 {
			t.Errorf("the head is %d", w.Head())
		}
	})
	if f := follow(nil); !f.Knows(1 << 60) {
		t.Error("without a journal, there is nobody to ask")
	}
}
