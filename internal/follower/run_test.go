package follower

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// watched is a follower that follows a journal in virtual time, and what was seen of it.
type watched struct {
	*Follower
	journal *journal

	mu    sync.Mutex
	log   strings.Builder
	asks  []time.Duration // when the journal was asked for what is new, since the start
	calls map[string]int  // of the journal
	ended time.Time
}

// watch runs do with a follower of a journal, whose calls fail as fails says, each with its number
// among its kind. It returns what was seen when the follower has ended.
func watch(
	t *testing.T, begin uint64, fails func(call string, n int) error, do func(t *testing.T,
		w *watched),
) (w *watched) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w = &watched{journal: newJournal(begin), calls: map[string]int{}}
		w.Follower = followWithLog(w.journal, slog.NewTextHandler(w, nil))
		w.journal.on(func(call string) error { return fails(call, w.called(call)) })
		ctx, cancel := context.WithCancel(t.Context())
		w.Start(ctx)
		synctest.Wait()
		do(t, w)
		cancel()
		w.Wait()
		w.ended = time.Now()
	})
	return w
}

func (w *watched) called(call string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if call == "since" {
		w.asks = append(w.asks, time.Since(w.time.start))
	}
	w.calls[call]++
	return w.calls[call]
}

// Write writes to the log.
func (w *watched) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(line)
}

// after lets time pass, and waits for what is done then.
func (w *watched) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// logs checks which lines the log has, by a part of each.
func (w *watched) logs(t *testing.T, parts ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := slices.Collect(strings.Lines(w.log.String()))
	if !slices.EqualFunc(lines, parts, strings.Contains) {
		t.Errorf("the log is\n%s; want lines with %q", w.log.String(), parts)
	}
}

// asked checks when the journal was asked, in milliseconds since the start.
func (w *watched) asked(t *testing.T, want ...time.Duration) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range want {
		want[i] *= time.Millisecond
	}
	if !slices.Equal(w.asks, want) {
		t.Errorf("asked at %v, want %v", w.asks, want)
	}
}

// counted checks how often a method of the journal was called.
func (w *watched) counted(t *testing.T, call string, want int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls[call] != want {
		t.Errorf("%d calls of %s, want %d", w.calls[call], call, want)
	}
}

// inTouch checks whether the replica can be trusted now.
func (w *watched) inTouch(t *testing.T, want bool) {
	t.Helper()
	if w.InTouch(time.Now()) != want {
		t.Errorf("after %v: in touch is %v", time.Since(w.time.start), !want)
	}
}

var errRefused = errors.New("connection refused")

func well(string, int) error { return nil }

// What others append is applied as it comes, and covers what it names. A journal that has nothing
// yet is as good.
func TestMarksOfOthers(t *testing.T) {
	for _, begin := range []uint64{0, 10} {
		watch(t, begin, well, func(t *testing.T, w *watched) {
			w.inTouch(t, true)
			w.journal.others(t, "first")
			w.after(0)
			covers(t, w.Follower, "first", begin, invalidation.CoverageHard)
			w.journal.others(t, "second")
			w.after(0)
			covers(t, w.Follower, "second", begin, invalidation.CoverageHard)
			w.after(time.Second)
			if since := w.journal.since.Load(); since != begin+2 {
				t.Errorf("asked for what is newer than %d, want %d", since, begin+2)
			}
			w.after(2 * time.Second)
			covers(t, w.Follower, "page", begin, invalidation.CoverageNone)
			if begin > 0 {
				// of which the journal has forgotten all
				covers(t, w.Follower, "page", begin-1, invalidation.CoverageHard)
			}
			w.asked(t, 0, 0, 1000, 2000, 3000)
			w.counted(t, "watch", 1)
			w.logs(t)
		})
	}
}

// A journal may give numbers to no mark: what is filled from then on is newer than those, and they
// are not asked for again.
func TestNumbersOfNoMark(t *testing.T) {
	watch(t, 10, well, func(t *testing.T, w *watched) {
		w.journal.blank.Store(5)
		for range 2 {
			w.after(time.Second)
		}
		if since := w.journal.since.Load(); w.Head() != 15 || since != 15 {
			t.Errorf("the newest number is %d, and it was asked for what is newer than %d; want 15",
				w.Head(), since)
		}
	})
}

// A follower has ended when it has left the journal, and has sent what it could not send before.
func TestHowAFollowerEnds(t *testing.T) {
	fails := func(call string, n int) error {
		switch {
		case call == "append" && n == 1:
			return errRefused
		case call == "leave":
			time.Sleep(time.Second / 2)
		}
		return nil
	}
	var began time.Time
	w := watch(t, 10, fails, func(t *testing.T, w *watched) {
		if _, err := w.Append(t.Context(), key("page")); !errors.Is(err, ErrUnsent) {
			t.Errorf("the journal refuses it: %v", err)
		}
		began = time.Now()
	})
	if took := w.ended.Sub(began); took != time.Second/2 {
		t.Errorf("it has ended after %v", took)
	}
	if marks, _, _ := w.journal.holds.Load().Since(t.Context(), 10); len(marks) != 1 {
		t.Errorf("%d of one mark have been sent", len(marks))
	}
}

// A journal that answers and takes nothing is out of touch until it does, and the log hears of that
// once. Until then it is asked first, and no caller waits for it.
func TestAJournalThatTakesNothing(t *testing.T) {
	fails := func(call string, n int) error {
		if call == "append" && n <= 5 {
			return errRefused
		}
		return nil
	}
	watch(t, 10, fails, func(t *testing.T, w *watched) {
		for range 2 {
			if _, err := w.Append(t.Context(), key("page")); !errors.Is(err, ErrUnsent) {
				t.Errorf("the journal refuses it: %v", err)
			}
		}
		w.counted(t, "append", 1)
		// it is asked after a second, at once, and with pauses of 50, 100 and 200 ms
		w.after(1200 * time.Millisecond)
		w.counted(t, "append", 5)
		if _, err := w.Append(t.Context(), key("page")); !errors.Is(err, ErrUnsent) {
			t.Errorf("the journal is known to refuse it: %v", err)
		}
		w.counted(t, "append", 5)
		w.logs(t, "out of touch")
		w.inTouch(t, true) // as far as what others have invalidated goes
		w.after(200 * time.Millisecond)
		w.counted(t, "append", 6)
		w.logs(t, "out of touch", "in touch again")
	})
}

// A journal that does not answer is asked with pauses that grow, and is not watched meanwhile. The
// log hears of its outage once, unless the store has logged it.
func TestAJournalThatIsDown(t *testing.T) {
	for _, c := range []struct {
		down  error
		lines []string
	}{
		{errRefused, []string{"out of touch", "in touch again"}},
		{store.ErrUnavailable, nil},
	} {
		down := func(call string, n int) error {
			if call == "since" && n <= 10 {
				return c.down
			}
			return nil
		}
		watch(t, 10, down, func(t *testing.T, w *watched) {
			w.after(5 * time.Second)
			w.asked(t, 0, 0, 50, 150, 350, 750, 1550, 2450, 3350, 4250)
			w.counted(t, "watch", 0)
			w.after(time.Second)
			w.asked(t, 0, 0, 50, 150, 350, 750, 1550, 2450, 3350, 4250, 5150)
			w.counted(t, "watch", 1)
			w.logs(t, c.lines...)
		})
	}
}

// One answer that fails costs no pause, when the journal was watched for long, but for the time
// that it takes to leave it: no two watch at once.
func TestAJournalThatFailsOnce(t *testing.T) {
	third := func(call string, n int) error {
		switch {
		case call == "since" && n == 3:
			return errRefused
		case call == "leave":
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	}
	watch(t, 10, third, func(t *testing.T, w *watched) {
		w.after(3 * time.Second)
		w.asked(t, 0, 0, 1000, 1100, 2100)
		w.logs(t, "out of touch", "in touch again")
	})
}

// Two times in a row say nothing yet, when the journal did not answer in between.
func TestAJournalThatIsNotWatchedTwice(t *testing.T) {
	fails := func(call string, n int) error {
		if call == "watch" && n <= 4 || call == "since" && n == 4 {
			return errRefused
		}
		return nil
	}
	watch(t, 10, fails, func(t *testing.T, w *watched) {
		w.after(10 * time.Second)
		w.counted(t, "watch", 5)
		w.logs(t, "out of touch", "in touch again")
	})
}

// A watch that panics has failed.
func TestAWatchThatPanics(t *testing.T) {
	fails := func(call string, n int) error {
		if call == "watch" {
			panic("no such channel")
		}
		return nil
	}
	watch(t, 10, fails, func(t *testing.T, w *watched) {
		w.after(time.Second)
		w.logs(t, "the journal panicked: no such channel")
	})
}

// A journal that answers and cannot be watched is asked once a second. The log hears of it at the
// third time in a row, and again only when it could be watched in between.
func TestAJournalThatIsNotWatched(t *testing.T) {
	fails := func(call string, n int) error {
		switch {
		case call == "watch" && n != 11:
			return errors.New("not allowed")
		case call == "since" && (n == 7 || n == 18):
			return errRefused
		}
		return nil
	}
	watch(t, 10, fails, func(t *testing.T, w *watched) {
		w.after(149 * time.Millisecond)
		w.logs(t)
		w.after(time.Millisecond)
		w.logs(t, `"not allowed"`)
		w.journal.others(t, "page")
		w.after(10*time.Second - 150*time.Millisecond)
		w.asked(t, 0, 0, 50, 150, 350, 750, 1550, 2550, 3450, 4450, 5450, 6450, 7450, 8450, 9450)
		covers(t, w.Follower, "page", 10, invalidation.CoverageHard)
		w.logs(t, `"not allowed"`, "out of touch", "in touch again")
		w.after(5 * time.Second)
		w.logs(t, `"not allowed"`, "out of touch", "in touch again", "out of touch",
			"in touch again", `"not allowed"`)
	})
}

// What a caller did not wait for says nothing of the journal: it is sent when the journal is asked
// again.
func TestACallerWhoLeaves(t *testing.T) {
	first := func(call string, n int) error {
		if call == "append" && n == 1 {
			return context.Canceled
		}
		return nil
	}
	watch(t, 10, first, func(t *testing.T, w *watched) {
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := w.Append(gone, key("page")); !errors.Is(err, ErrUnsent) {
			t.Errorf("the caller has left: %v", err)
		}
		if last, err := w.Append(t.Context(), key("next")); err != nil || last != 11 {
			t.Errorf("the next caller: number %d, %v", last, err)
		}
		w.after(time.Second)
		if n := w.Appended(10); n != 2 {
			t.Errorf("%d of two marks have been sent", n)
		}
		w.logs(t)
	})
}

// A journal that is known to be down is not waited for, and gets what is unsent with its first
// answer.
func TestUnsentMarksGoFirst(t *testing.T) {
	down := func(call string, n int) error {
		if call == "since" && n <= 2 {
			return errRefused
		}
		return nil
	}
	watch(t, 10, down, func(t *testing.T, w *watched) {
		if _, err := w.Append(t.Context(), key("page")); !errors.Is(err, ErrUnsent) {
			t.Errorf("the journal is down: %v", err)
		}
		w.counted(t, "append", 0)
		w.after(50 * time.Millisecond)
		if w.Head() != 11 {
			t.Errorf("the journal is back: the newest number is %d", w.Head())
		}
		w.counted(t, "watch", 1)
		if last, err := w.Append(t.Context(), key("next")); err != nil || last != 12 {
			t.Errorf("then it is asked as before: number %d, %v", last, err)
		}
	})
}

// A journal that was lost and began anew is not trusted until it gives numbers that it never gave
// before. What was filled until then counts as invalidated, once.
func TestAJournalThatBeganAnew(t *testing.T) {
	watch(t, 10, well, func(t *testing.T, w *watched) {
		w.journal.others(t, "one") // number 11
		w.after(0)
		w.journal.holds.Store(memjournal.NewAfter(9))
		w.after(w.MaxLag + time.Second)
		w.inTouch(t, false)
		w.journal.others(t, "two", "three") // numbers 10 and 11 once more
		w.after(2 * time.Second)
		w.inTouch(t, false)
		w.logs(t, "its newest number is 9, and was 11")
		w.journal.others(t, "four") // number 12
		w.after(2 * time.Second)
		w.inTouch(t, true)
		covers(t, w.Follower, "page", 11, invalidation.CoverageHard)
		covers(t, w.Follower, "page", 12, invalidation.CoverageNone)
		w.journal.others(t, "five")
		w.after(2 * time.Second)
		covers(t, w.Follower, "page", 12, invalidation.CoverageNone)
		w.logs(t, "its newest number is 9, and was 11", "in touch again")
	})
}

// A server takes over whose clock is behind: what it gives an invalidation is no greater than the
// numbers of what is stored here, and says nothing. The invalidation holds all the same, and is sent
// again when the journal has begun anew.
func TestAnInvalidationInAJournalThatBeganInThePast(t *testing.T) {
	watch(t, 1000, well, func(t *testing.T, w *watched) {
		w.journal.others(t, "theirs") // 1001
		w.after(time.Second)
		stored := &store.Entry{Key: "mine", Number: w.Head()}
		w.journal.holds.Store(memjournal.NewAfter(10))
		if n, err := w.Append(t.Context(), key("mine")); n != 0 || !errors.Is(err, ErrUnsent) {
			t.Errorf("Append: %d, %v; want ErrUnsent", n, err)
		}
		if c := w.Covers(stored); c != invalidation.CoverageHard {
			t.Errorf("what was stored before the invalidation is covered: %v", c)
		}
		w.journal.failsOver(2000, 1) // as a watcher that is ahead has it begin anew
		w.after(3 * time.Second)
		if names := w.journal.names(t); !slices.Contains(names, "mine") || w.Owes() {
			t.Errorf("the journal has %q, and marks are owed: %v", names, w.Owes())
		}
		if c := w.Covers(stored); c != invalidation.CoverageHard {
			t.Errorf("when the journal has begun anew, it is covered: %v", c)
		}
	})
}

// A server takes over whose journal is behind the number that the old one gave to the last mark of
// this process, which had no time to hear what came before. The journal begins anew above that
// number, though nobody else appends anything, and gets the mark.
func TestAheadOfWhoTakesOverByItsOwnMark(t *testing.T) {
	unwatched := func(call string, n int) error {
		if call == "watch" && n == 1 { // so that it is between two looks
			return errRefused
		}
		return nil
	}
	watch(t, 10, unwatched, func(t *testing.T, w *watched) {
		w.journal.heeds.Store(true)
		w.journal.others(t, "other's")
		if last, err := w.Append(t.Context(), key("own")); err != nil || last != 12 || w.Seen() != 10 {
			t.Fatalf("number %d, %v; it has seen %d", last, err, w.Seen())
		}
		w.journal.failsOver(11, 10)
		w.after(w.MaxLag + time.Second)
		w.inTouch(t, true)
		covers(t, w.Follower, "page", 12, invalidation.CoverageHard)
		if names := w.journal.names(t); !slices.Contains(names, "own") {
			t.Errorf("the journal has %q, and not what it lost", names)
		}
		w.logs(t, "its newest number is 11, and was 12", "appended again", "in touch again")
	})
}
