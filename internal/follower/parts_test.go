package follower

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// slow is a journal whose server reads marks out at a pace, and gives up after the time of the call.
type slow struct {
	*memjournal.Journal
	most int           // marks in an answer; 0: all
	each time.Duration // for a mark

	mu        sync.Mutex
	asked     []uint64 // the numbers asked for
	fails     map[int]error
	meanwhile func(n int) // or nil: before the answer to the nth call
}

func (s *slow) Since(
	ctx context.Context, number uint64,
) (marks []store.Numbered, head uint64, err error) {
	s.mu.Lock()
	s.asked = append(s.asked, number)
	n := len(s.asked)
	err = s.fails[n]
	s.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	if s.meanwhile != nil {
		s.meanwhile(n)
	}
	marks, head, _ = s.Journal.Since(ctx, number)
	if s.most > 0 && len(marks) > s.most {
		marks = marks[:s.most]
	}
	pace := time.NewTimer(time.Duration(len(marks)) * s.each)
	defer pace.Stop()
	select {
	case <-pace.C:
		return marks, head, nil
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

func (s *slow) calls() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// full returns a journal with so many marks after number 10.
func full(t *testing.T, marks int) *memjournal.Journal {
	t.Helper()
	j := memjournal.NewAfter(10)
	what := make([]store.Mark, marks)
	for i := range what {
		what[i] = store.Mark{Kind: store.MarkKey, Name: fmt.Sprint("page ", i)}
	}
	if _, err := j.Append(t.Context(), what...); err != nil {
		t.Fatal(err)
	}
	return j
}

// A process that starts on a journal of which its server needs longer to read all of it than a call
// has reads it in parts. It uses nothing that is stored before it has all of them, and then all.
func TestAFullJournalIsReadInParts(t *testing.T) {
	for _, c := range []struct {
		story string
		most  int
		each  time.Duration
		start time.Duration // how long Start takes
		after time.Duration // ... and it is in touch, since Start began
		calls int
	}{
		{"in one answer", 0, 100 * time.Microsecond, 800*time.Millisecond + 100*time.Microsecond,
			800*time.Millisecond + 100*time.Microsecond, 1},
		{"in parts, within the time of a call", 1000, 100 * time.Microsecond,
			800*time.Millisecond + 100*time.Microsecond,
			800*time.Millisecond + 100*time.Microsecond, 9},
		{"in parts, of which each takes half the time of a call", 1000, 500 * time.Microsecond,
			time.Second, 4*time.Second + 500*time.Microsecond, 9},
		{"in parts that take longer than all are trusted", 1000, 900 * time.Microsecond,
			1800 * time.Millisecond, 7*time.Second + 200*time.Millisecond + 900*time.Microsecond, 9},
	} {
		t.Run(c.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &slow{Journal: full(t, 8000), most: c.most, each: c.each}
				f := followWithLog(j, slog.NewTextHandler(t.Output(), nil))
				ctx, cancel := context.WithCancel(t.Context())
				defer f.Wait()
				defer cancel()
				began := time.Now()
				f.Start(ctx)
				if took := time.Since(began); took != c.start {
					t.Errorf("Start has taken %v; want %v", took, c.start)
				}
				time.Sleep(time.Until(began.Add(c.after - time.Nanosecond)))
				synctest.Wait()
				if c.after > c.start && (f.InTouch(time.Now()) || f.Seen() >= 8010 ||
					f.Knows(8010) || f.Status(time.Now()).Lag >= 0) {
					t.Errorf("a moment before it has everything: in touch %t, seen %d, %+v",
						f.InTouch(time.Now()), f.Seen(), f.Status(time.Now()))
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if !f.InTouch(time.Now()) || f.Seen() != 8010 || f.Head() != 8010 ||
					f.Lost(time.Now()) {
					t.Errorf("after %v: in touch %t, seen %d, head %d, %+v", c.after,
						f.InTouch(time.Now()), f.Seen(), f.Head(), f.Status(time.Now()))
				}
				covers(t, f, "page 0", 10, invalidation.CoverageHard)
				covers(t, f, "page 7999", 8009, invalidation.CoverageHard)
				covers(t, f, "page 7999", 8010, invalidation.CoverageNone)
				if got := j.calls(); len(got) < c.calls || !slices.IsSorted(got) ||
					c.most > 0 && got[1] != 1009 {
					t.Errorf("asked for what is after %d; want each part once", got)
				}
			})
		})
	}
}

// A part that fails is asked for again, and none of those before it. The pauses between do not grow.
func TestAPartThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &slow{Journal: full(t, 5000), most: 1000, fails: map[int]error{}}
		for n := 2; n <= 10; n += 2 {
			j.fails[n] = errRefused
		}
		f := follow(j)
		ctx, cancel := context.WithCancel(t.Context())
		defer f.Wait()
		defer cancel()
		f.Start(ctx)
		time.Sleep(4*firstPause - time.Nanosecond)
		synctest.Wait()
		if f.InTouch(time.Now()) {
			t.Error("in touch without the last part")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		want := []uint64{0, 1009, 1009, 2009, 2009, 3009, 3009, 4009, 4009, 5009, 5009}
		if got := j.calls(); !slices.Equal(got[:min(len(want), len(got))], want) ||
			!f.InTouch(time.Now()) {
			t.Errorf("in touch %t, asked for what is after %d; want %d", f.InTouch(time.Now()), got,
				want)
		}
	})
}

// A process that is in touch and reads parts of what came is trusted for MaxLag from when it had
// everything the last time, not from a part. Others who append meanwhile do not have it read for ever.
func TestPartsAreNotTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &slow{Journal: memjournal.NewAfter(10), most: 10, each: 10 * time.Millisecond}
		f := follow(j)
		if !f.enter() || !f.catchUp(t.Context()) || !f.InTouch(time.Now()) {
			t.Fatal("out of touch with a journal that has nothing")
		}
		heard := f.touch.heard.Load()
		j.Append(t.Context(), full30()...)
		calls := len(j.calls())
		j.meanwhile = func(n int) {
			if n > calls+1 { // as many come as are read
				j.Append(t.Context(), full30()[:10]...)
			}
			if got := f.touch.heard.Load(); got != heard {
				t.Errorf("with %d parts of 3, it was heard at %v", n-calls-1, time.Duration(got))
			}
		}
		asked := f.now()
		if !f.catchUp(t.Context()) {
			t.Error("it has not caught up")
		}
		if got := len(j.calls()) - calls; got != 3 {
			t.Errorf("it has read %d parts; want the 3 that there were", got)
		}
		if got := time.Duration(f.touch.heard.Load()); got != max(asked, 1) || f.Seen() != 40 {
			t.Errorf("heard %v, seen %d; want %v, when the first part was asked for, and 40", got,
				f.Seen(), asked)
		}
		if s := f.Status(time.Now()); !s.InTouch || f.Head() != 40 {
			t.Errorf("%+v", s)
		}
	})
}

func full30() (what []store.Mark) {
	for i := range 30 {
		what = append(what, store.Mark{Kind: store.MarkKey, Name: fmt.Sprint("late ", i)})
	}
	return what
}

// A process that stops while it reads parts ends after the part at hand.
func TestPartsEndWithTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &slow{Journal: full(t, 8000), most: 100, each: 5 * time.Millisecond}
		f := follow(j)
		ctx, cancel := context.WithCancel(t.Context())
		f.Start(ctx)
		synctest.Wait()
		began := time.Now()
		cancel()
		f.Wait()
		if took := time.Since(began); took > time.Second/2 {
			t.Errorf("it has ended after %v; want the half second that a part takes", took)
		}
	})
}

// Who asks what others have appended, or must know a number, gets it of a journal that answers in
// parts, within the time of a call; a journal that has more than that is not out of touch for it.
func TestPartsForWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &slow{Journal: memjournal.NewAfter(10), most: 10, each: 5 * time.Millisecond}
		f := follow(j)
		f.catchUp(t.Context())
		j.Append(t.Context(), append(full30(), store.Mark{Kind: store.MarkBarrier})...)
		if n := f.Appended(10); n != 30 {
			t.Errorf("%d marks were appended; want 30", n)
		}
		if !f.Reach(41) || f.Seen() != 41 || f.Head() != 41 {
			t.Errorf("seen %d, head %d; want 41", f.Seen(), f.Head())
		}
		for range 10 {
			j.Append(t.Context(), full30()...)
		}
		if n := f.Appended(41); n != -1 {
			t.Errorf("in a second %d marks were read; want -1", n)
		}
		if f.Reach(341) || f.lost.Load() {
			t.Errorf("300 marks in a second: reached %t, lost %t", f.Knows(341), f.lost.Load())
		}
		if !f.Reach(341) {
			t.Errorf("the second time: seen %d", f.Seen())
		}
	})
}

// A journal that began anew in the past is trusted when all of its parts have been read, and then
// nothing that was stored before is.
func TestPartsOfAJournalThatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &slow{Journal: full(t, 100), most: 50}
		f := follow(j)
		if f.catchUp(t.Context()); f.Seen() != 110 {
			t.Fatalf("seen %d", f.Seen())
		}
		j.Journal = memjournal.NewAfter(10)
		j.Append(t.Context(), full30()...)
		if f.catchUp(t.Context()) {
			t.Error("caught up with numbers of the past")
		}
		for range 10 {
			j.Append(t.Context(), full30()...) // up to 340
		}
		calls := len(j.calls())
		j.fails = map[int]error{calls + 3: errRefused}
		if f.catchUp(t.Context()) || f.past == 0 || f.Sees(150) {
			t.Errorf("without the last parts: past %d, sees what was given out twice: %t", f.past,
				f.Sees(150))
		}
		if !f.catchUp(t.Context()) || f.past != 0 || f.Sees(340) {
			t.Errorf("with all: past %d, sees %t", f.past, f.Sees(340))
		}
		covers(t, f, "page", 339, invalidation.CoverageHard)
		covers(t, f, "page", 340, invalidation.CoverageNone)
	})
}

// A journal that says that there are more and returns nothing new has said all.
func TestPartsThatDoNotGetOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(stuck{full(t, 5)})
		if !f.catchUp(t.Context()) || !f.Reach(20) || f.Head() != 20 {
			t.Errorf("head %d; want 20", f.Head())
		}
	})
}

// stuck is a journal that has given numbers to no mark, and always returns the last mark.
type stuck struct{ *memjournal.Journal }

func (s stuck) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	marks, _, err := s.Journal.Since(ctx, min(number, 14))
	return marks, 20, err
}
