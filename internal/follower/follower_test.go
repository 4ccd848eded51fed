package follower

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// journal is one of this process's, whose calls do first what fails says, if anything.
type journal struct {
	holds atomic.Pointer[memjournal.Journal]
	since atomic.Uint64 // what it was asked for last
	blank atomic.Uint64 // how many numbers it has given to no mark
	after atomic.Uint64 // what its beginning says that it knew of, if it says that
	// it begins anew for a watcher that is ahead of it, as those of servers do
	heeds atomic.Bool
	fails atomic.Pointer[func(call string) error]
}

// newJournal returns a journal whose newest number is number.
func newJournal(number uint64) *journal {
	j := &journal{}
	j.holds.Store(memjournal.NewAfter(number))
	return j
}

// on has calls of the journal, "append", "since" and "watch", do first what fails says, and the end
// of a watch, "leave", at last.
func (j *journal) on(fails func(call string) error) { j.fails.Store(&fails) }

func (j *journal) check(call string) error {
	if fails := j.fails.Load(); fails != nil {
		return (*fails)(call)
	}
	return nil
}

func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if err := j.check("append"); err != nil {
		return 0, err
	}
	return j.holds.Load().Append(ctx, what...)
}

func (j *journal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	if err := j.check("since"); err != nil {
		return nil, 0, err
	}
	j.since.Store(number)
	marks, head, err := j.holds.Load().Since(ctx, number)
	for i := range marks {
		j.begins(&marks[i])
	}
	return marks, head + j.blank.Load(), err
}

// begins has the mark that stands for what was before be a beginning.
func (j *journal) begins(m *store.Numbered) {
	if m.Kind == store.MarkEverything {
		m.After = j.after.Load()
	}
}

// failsOver has the journal begin anew at a number, knowing of those up to after.
func (j *journal) failsOver(number, after uint64) {
	j.after.Store(after)
	j.holds.Store(memjournal.NewAfter(number))
}

func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		if err := j.check("watch"); err != nil {
			yield(store.Numbered{}, err)
			return
		}
		defer j.check("leave")
		if _, head, _ := j.holds.Load().Since(ctx, from); from > head && j.heeds.Load() {
			j.failsOver(from+1, head)
		}
		for m, err := range j.holds.Load().Watch(ctx, from) {
			j.begins(&m)
			if !yield(m, err) {
				return
			}
		}
	}
}

// others has another process append marks of keys.
func (j *journal) others(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := j.holds.Load().Append(t.Context(), key(name)...); err != nil {
			t.Fatal(err)
		}
	}
}

func follow(j store.Journal) *Follower { return followWithLog(j, slog.DiscardHandler) }

func followWithLog(j store.Journal, log slog.Handler) *Follower {
	return New(Options{Journal: j, Timeout: time.Second, MaxLag: 5 * time.Second,
		Log: slog.New(log)})
}

func key(name string) []store.Mark { return []store.Mark{{Kind: store.MarkKey, Name: name}} }

func covers(t *testing.T, f *Follower, name string, fill uint64, want invalidation.Coverage) {
	t.Helper()
	if got := f.Covers(&store.Entry{Key: name, Number: fill}); got != want {
		t.Errorf("the coverage of %s, filled at %d, is %v; want %v", name, fill, got, want)
	}
}

// Without a journal, numbers go on from the clock, without gaps, and what was stored before is
// covered.
func TestWithoutAJournal(t *testing.T) {
	f := follow(nil)
	f.Start(t.Context())
	f.Wait()
	begin := f.Head()
	if now := uint64(time.Now().UnixMicro()); begin > now || begin < now-uint64(time.Minute.Microseconds()) {
		t.Errorf("the numbers begin at %d, and it is %d", begin, now)
	}
	covers(t, f, "page", begin-1, invalidation.CoverageHard)
	covers(t, f, "page", begin, invalidation.CoverageNone)
	last, err := f.Append(t.Context(),
		[]store.Mark{{Kind: store.MarkKey, Name: "other"}, {Kind: store.MarkKey, Name: "page",
			Soft: true}})
	if err != nil || last != begin+2 || f.Head() != last || f.Appended(begin) != 2 {
		t.Errorf("two marks: number %d, error %v, head %d, %d appended", last, err, f.Head(),
			f.Appended(begin))
	}
	covers(t, f, "other", begin, invalidation.CoverageHard)
	covers(t, f, "other", begin+1, invalidation.CoverageNone)
	covers(t, f, "page", begin+1, invalidation.CoverageSoft)
	if f.Shared() || !f.InTouch(time.Now().Add(time.Hour)) {
		t.Error("it waits for somebody")
	}
}

// What the journal does not take holds here, and is sent when it can be. A journal that panics is
// one that fails.
func TestUnsent(t *testing.T) {
	down := errors.New("connection refused")
	for _, panics := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			j := newJournal(10)
			f := follow(j)
			f.Start(ctx)
			synctest.Wait()
			j.on(func(string) error {
				if panics {
					panic("no such table")
				}
				return down
			})
			_, err := f.Append(ctx, key("page"))
			if !errors.Is(err, ErrUnsent) || !panics && !errors.Is(err, down) {
				t.Errorf("panics %v: the error is %v", panics, err)
			}
			if _, err := f.Append(ctx, key("late")); !errors.Is(err, ErrUnsent) {
				t.Errorf("the journal is known to be down: the error is %v", err)
			}
			covers(t, f, "page", 100, invalidation.CoverageHard)
			covers(t, f, "late", 100, invalidation.CoverageHard)
			covers(t, f, "other", 100, invalidation.CoverageNone)
			if n := f.Appended(10); n != -1 {
				t.Errorf("a journal that is down knows of %d marks", n)
			}
			if time.Sleep(6 * time.Second); f.InTouch(time.Now()) {
				t.Error("in touch with a journal that has not answered for six seconds")
			}
			j.fails.Store(nil)
			time.Sleep(3 * time.Second)
			if !f.InTouch(time.Now()) || f.Head() != 12 || f.Appended(10) != 2 {
				t.Errorf("the journal is back: in touch %v, head %d, %d appended",
					f.InTouch(time.Now()),
					f.Head(), f.Appended(10))
			}
			covers(t, f, "page", 9, invalidation.CoverageHard)
			covers(t, f, "page", 12, invalidation.CoverageNone)
			cancel()
			f.Wait()
		})
	}
}

// Marks that are held take bounded memory: when they are too many or too long, they become one that
// covers everything.
func TestUnsentAreBounded(t *testing.T) {
	many := func(n, length int) (marks []store.Mark) {
		for i := range n {
			marks = append(marks, store.Mark{Kind: store.MarkTag, Name: strings.Repeat("x",
				length-5) + fmt.Sprintf("%05d", i)})
		}
		return marks
	}
	for _, c := range []struct {
		marks []store.Mark
		held  int
	}{
		{many(maxUnsent, 5), maxUnsent}, {many(maxUnsent+1, 5), 1},
		{many(16, maxUnsentBytes/16), 16}, {many(16, maxUnsentBytes/16+1), 1},
	} {
		var u unsent
		u.hold(c.marks[:1])
		u.hold(c.marks)
		all := u.covers(&store.Entry{Key: "other"}, 0) == invalidation.CoverageHard
		if len(u.marks) != c.held || all != (c.held == 1) {
			t.Errorf("of %d marks of %d bytes %d are held, and everything is covered: %v",
				len(c.marks), len(c.marks[0].Name), len(u.marks), all)
		}
	}
}

// The replica is trusted for MaxLag after the journal answered last, and not before it ever has.
func TestForHowLongItIsInTouch(t *testing.T) {
	f := follow(&journal{})
	if f.InTouch(f.time.start) {
		t.Error("in touch with a journal that never answered")
	}
	f.touch.answered(time.Second)
	for later, in := range map[time.Duration]bool{0: true, f.MaxLag: true, f.MaxLag + 1: false} {
		if f.InTouch(f.time.start.Add(time.Second+later)) != in {
			t.Errorf("%v after it answered: in touch is %v", later, !in)
		}
	}
}

func TestStatus(t *testing.T) {
	f := follow(&journal{})
	now := f.time.start.Add(3 * time.Second)
	if s := f.Status(now); !s.Shared || s.InTouch || s.Lag >= 0 || s.MaxLag != 5*time.Second {
		t.Errorf("a journal that never answered: %+v", s)
	}
	f.touch.answered(time.Second)
	if s := f.Status(now); !s.InTouch || s.Lag != 2*time.Second || s.MaxLag != 5*time.Second {
		t.Errorf("a journal that answered 2 seconds ago: %+v", s)
	}
	if s := follow(nil).Status(now); s.Shared || s.Lag != 0 || s.MaxLag != 0 {
		t.Errorf("no journal: %+v", s)
	}
}

func TestAppendRefusesWhatIsNoMark(t *testing.T) {
	f := follow(nil)
	before := f.Head()
	if _, err := f.Append(t.Context(), []store.Mark{{Kind: store.MarkTag}}); err == nil || f.Head() != before {
		t.Errorf("a tag without a name: %v, and %d numbers", err, f.Head()-before)
	}
}

// Clients choose how long the URLs are that they change. The journal gets short names, and every
// process that reads it knows the URL by them.
func TestLongNamesAreShortInTheJournal(t *testing.T) {
	j := newJournal(7)
	f, other := follow(j), follow(j)
	ctx, end := context.WithCancel(t.Context())
	for _, each := range []*Follower{f, other} {
		each.Start(ctx)
		defer each.Wait()
	}
	defer end()
	long := "http://example.com/" + strings.Repeat("a", 60_000)
	given := []store.Mark{{Kind: store.MarkKey, Name: long}, {Kind: store.MarkPrefix, Name: long}}
	last, err := f.Append(t.Context(), given)
	if err != nil || given[0].Name != long {
		t.Fatal(err, len(given[0].Name))
	}
	marks, _, err := j.Since(t.Context(), 7)
	if err != nil || len(marks) != 2 {
		t.Fatal(len(marks), err)
	}
	for _, m := range marks {
		if len(m.Name) > 512 {
			t.Errorf("kind %d: the journal has a name of %d bytes", m.Kind, len(m.Name))
		}
	}
	covers(t, f, long, last-1, invalidation.CoverageHard)
	for other.Head() < last {
		time.Sleep(time.Millisecond)
	}
	covers(t, other, long, last-1, invalidation.CoverageHard)
}
