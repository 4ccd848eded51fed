package follower

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// line is a process's connection to a journal that keeps a list of its members. Each call does
// first what fails says, if anything: "append", "since", "watch", "mark" for one that is announced,
// "renew", "members" and "leave".
type line struct {
	holds *atomic.Pointer[memjournal.Journal]
	fails atomic.Pointer[func(ctx context.Context, call string) error]
	// somebody wrote to the list what no member may
	spoilt atomic.Bool
	heeds  atomic.Bool  // the journal begins anew for a watcher that is ahead of it
	skew   atomic.Int64 // of the clock that ages go by, in nanoseconds

	mu    sync.Mutex
	calls map[string]int
}

func (l *line) check(ctx context.Context, call string) error {
	l.mu.Lock()
	l.calls[call]++
	l.mu.Unlock()
	if fails := l.fails.Load(); fails != nil {
		return (*fails)(ctx, call)
	}
	return nil
}

func (l *line) counted(call string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[call]
}

// on has calls do first what fails says; nil: nothing.
func (l *line) on(fails func(ctx context.Context, call string) error) {
	if fails == nil {
		l.fails.Store(nil)
		return
	}
	l.fails.Store(&fails)
}

// cut has all of the named calls fail, or all calls.
func (l *line) cut(calls ...string) {
	l.on(func(_ context.Context, call string) error {
		for _, c := range calls {
			if c == call {
				return errRefused
			}
		}
		if len(calls) == 0 {
			return errRefused
		}
		return nil
	})
}

func (l *line) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if err := l.check(ctx, "append"); err != nil {
		return 0, err
	}
	return l.holds.Load().Append(ctx, what...)
}

func (l *line) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	if err := l.check(ctx, "since"); err != nil {
		return nil, 0, err
	}
	marks, head, err := l.holds.Load().Since(ctx, number)
	return begun(marks), head, err
}

// begun has the mark in the place of forgotten ones be a beginning of a journal that knows nothing.
func begun(marks []store.Numbered) []store.Numbered {
	for i := range marks {
		if marks[i].Kind == store.MarkEverything && marks[i].Number >= 1000 {
			marks[i].After = 1
		}
	}
	return marks
}

func (l *line) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		if err := l.check(ctx, "watch"); err != nil {
			yield(store.Numbered{}, err)
			return
		}
		if _, head, _ := l.holds.Load().Since(ctx, from); from > head && l.heeds.Load() {
			l.holds.Store(memjournal.NewAfter(max(from, 1000) + 1))
		}
		for m, err := range l.holds.Load().Watch(ctx, from) {
			if err == nil {
				err = l.check(ctx, "mark")
			}
			if !yield(begun([]store.Numbered{m})[0], err) || err != nil {
				return
			}
		}
	}
}

func (l *line) Renew(ctx context.Context, m store.Member) error {
	if err := l.check(ctx, "renew"); err != nil {
		return err
	}
	return l.holds.Load().Renew(ctx, m)
}

func (l *line) Members(ctx context.Context) ([]store.Member, error) {
	if err := l.check(ctx, "members"); err != nil {
		return nil, err
	}
	all, err := l.holds.Load().Members(ctx)
	for i := range all {
		all[i].Age = max(all[i].Age+time.Duration(l.skew.Load()), 0)
	}
	if l.spoilt.Load() {
		all = append(all, store.Member{ID: "x", Name: "a\x1b[31m"}, store.Member{ID: "", Name: "b"})
	}
	return all, err
}

func (l *line) Leave(ctx context.Context, id string) error {
	if err := l.check(ctx, "leave"); err != nil {
		return err
	}
	return l.holds.Load().Leave(ctx, id)
}

// process is a follower with a line of its own to the journal that it shares.
type process struct {
	*Follower
	line *line
	end  func() // leaves the list, if it can

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

// logs checks which lines the log has, by a part of each.
func (p *process) logs(t *testing.T, parts ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.log.String()
	if n := strings.Count(text, "\n"); n != len(parts) {
		t.Errorf("the log of %s has %d lines, want %d:\n%s", p.Name, n, len(parts), text)
		return
	}
	for i, l := range strings.SplitAfter(text, "\n")[:len(parts)] {
		if !strings.Contains(l, parts[i]) {
			t.Errorf("line %d of the log of %s is\n%swant one with %q", i, p.Name, l, parts[i])
		}
	}
}

// together runs do with processes that follow one journal, in virtual time.
func together(t *testing.T, n int, do func(t *testing.T, all []*process)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		holds := &atomic.Pointer[memjournal.Journal]{}
		holds.Store(memjournal.NewAfter(10))
		var all []*process
		for i := range n {
			all = append(all, start(t, holds, string(rune('A'+i)), false))
		}
		later(time.Second)
		do(t, all)
		for _, p := range all {
			p.end()
		}
	})
}

func start(t *testing.T, holds *atomic.Pointer[memjournal.Journal], name string, readOnly bool) *process {
	p := &process{line: &line{holds: holds, calls: map[string]int{}}}
	p.Follower = New(Options{Journal: p.line, Timeout: 250 * time.Millisecond, MaxLag: 5 * time.Second,
		Name: name, ReadOnly: readOnly, Log: slog.New(slog.NewTextHandler(p, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	p.end = func() {
		cancel()
		p.Follower.Wait()
	}
	p.Start(ctx)
	return p
}

// later lets time pass, and waits for what is done then.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// uses checks whether the process uses an entry that was filled at a number.
func (p *process) uses(t *testing.T, story, name string, fill uint64, want bool) {
	t.Helper()
	e := &store.Entry{Key: name, Number: fill}
	if got := p.InTouch(time.Now()) && p.Covers(e) == invalidation.CoverageNone; got != want {
		t.Errorf("%s: %s uses %s, filled at %d: %t", story, p.Name, name, fill, got)
	}
}

// invalidates has the process append a mark, and returns its number and how many were ever held.
func (p *process) invalidates(name string) (number, held uint64) {
	number, _ = p.Append(context.Background(), key(name))
	return number, p.Held()
}

// waits waits for a number, for up to d, and returns how long that took.
func (p *process) waits(number, held uint64, d time.Duration) (took time.Duration, b *Behind, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	began := time.Now()
	b, err = p.WaitFor(ctx, number, held)
	return time.Since(began), b, err
}

func names(all []store.Member) string {
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

// A process is on the list before it asks what is new: who appends a mark then finds it there.
func TestAMemberJoinsBeforeItAsks(t *testing.T) {
	together(t, 1, func(t *testing.T, all []*process) {
		a := all[0]
		var number uint64
		late := &process{line: &line{holds: a.line.holds, calls: map[string]int{}}}
		late.line.on(func(_ context.Context, call string) error {
			if call == "since" && number == 0 {
				number, _ = a.invalidates("page")
				if _, b, err := a.waits(number, 0, time.Second); b == nil || names(b.Members) != "late" {
					t.Errorf("while a process starts: behind are %+v, %v", b, err)
				}
			}
			return nil
		})
		late.Follower = New(Options{Journal: late.line, Timeout: time.Minute, MaxLag: 5 * time.Second,
			Name: "late", Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		late.Start(ctx)
		late.uses(t, "when it has started", "page", number-1, false)
		if took, b, err := a.waits(number, 0, time.Second); err != nil || took > 20*time.Millisecond {
			t.Errorf("then: %v, %+v, %v", took, b, err)
		}
		cancel()
		late.Wait()
		if took, b, err := a.waits(number+100, 0, time.Second); err == nil {
			t.Errorf("a number that nobody gave was applied after %v: %+v", took, b)
		}
	})
}

// Everyone is waited for, and nobody for long.
func TestWaitForAll(t *testing.T) {
	together(t, 5, func(t *testing.T, all []*process) {
		a := all[0]
		number, _ := a.invalidates("page")
		if took, b, err := a.waits(number, 0, time.Second); err != nil || took > 20*time.Millisecond {
			t.Errorf("five processes: %v, %+v, %v", took, b, err)
		}
		for _, p := range all {
			p.uses(t, "after the wait", "page", number-1, false)
		}
		all[1].line.on(func(ctx context.Context, call string) error { // hears nothing, and may renew
			if call == "since" || call == "mark" {
				return errRefused
			}
			return nil
		})
		number, _ = a.invalidates("news")
		a.line.on(func(_ context.Context, call string) error { // its server is slow
			if call == "members" {
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		})
		listed := a.line.counted("members")
		took, b, err := a.waits(number, 0, 2*time.Second)
		if n := a.line.counted("members") - listed; n > 10 {
			t.Errorf("a slow server is asked %d times in 2 s", n)
		}
		if !errors.Is(err, context.DeadlineExceeded) || took != 2*time.Second || b.Number != number ||
			names(b.Members) != "B" || b.Members[0].Age < 1500*time.Millisecond || b.Members[0].Applied >= number {
			t.Errorf("B hears nothing: %v, %+v, %v", took, b, err)
		}
		all[1].line.on(nil)
		if took, b, err := a.waits(number, 0, 10*time.Second); err != nil || took > 3*time.Second {
			t.Errorf("B is back: %v, %+v, %v", took, b, err)
		}
	})
}

// A process that is killed is taken for gone when its lease has ended; one that ends leaves the
// list, and uses nothing from then on.
func TestWhoIsGone(t *testing.T) {
	together(t, 3, func(t *testing.T, all []*process) {
		a, b, c := all[0], all[1], all[2]
		b.end()
		b.uses(t, "after its end", "page", b.Head(), false)
		number, _ := a.invalidates("page")
		if took, behind, err := a.waits(number, 0, time.Second); err != nil || took > 20*time.Millisecond {
			t.Errorf("B has left: %v, %+v, %v", took, behind, err)
		}
		c.line.cut()
		number, _ = a.invalidates("page")
		took, behind, err := a.waits(number, 0, time.Minute)
		if err != nil || took < store.LeaseTime-2*time.Second || took > store.LeaseTime+50*time.Millisecond {
			t.Errorf("C is cut off: %v, %+v, %v", took, behind, err)
		}
		c.uses(t, "when it is taken for gone", "page", c.Head(), false)
	})
}

// What the journal has not taken is waited for, too.
func TestWaitForWhatIsUnsent(t *testing.T) {
	together(t, 2, func(t *testing.T, all []*process) {
		a, b := all[0], all[1]
		a.line.cut()
		number, held := a.invalidates("page")
		took, behind, err := a.waits(number, held, time.Second)
		if number != 0 || behind == nil || behind.Number != 0 || !errors.Is(err, ErrUnsent) ||
			!errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("A is cut off: %v, %+v, %v", took, behind, err)
		}
		a.line.on(nil)
		if took, behind, err = a.waits(number, held, 10*time.Second); err != nil || took > 3*time.Second {
			t.Errorf("A is back: %v, %+v, %v", took, behind, err)
		}
		b.uses(t, "after the wait", "page", 10, false)
		a.line.cut("append")
		old := held
		if _, held = a.invalidates("more"); held <= old {
			t.Errorf("%d marks were held, and %d before", held, old)
		}
		if _, _, err := a.waits(0, old, time.Millisecond); err != nil {
			t.Errorf("what was sent before: %v", err)
		}
		if _, _, err := a.waits(0, held, time.Millisecond); !errors.Is(err, ErrUnsent) {
			t.Errorf("what was not sent: %v", err)
		}
		a.line.on(nil)
	})
}

// Many who wait share barriers and looks at the list, and a flood of barriers is no flood of
// renewals.
func TestManyWaitAtOnce(t *testing.T) {
	together(t, 3, func(t *testing.T, all []*process) {
		a, b := all[0], all[1]
		slow := func(_ context.Context, call string) error {
			if call != "mark" && call != "watch" {
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		for _, p := range all {
			p.line.on(slow)
		}
		number, _ := a.invalidates("page")
		renewed, appended, listed := b.line.counted("renew"), a.line.counted("append"), a.line.counted("members")
		var waiting sync.WaitGroup
		for range 100 {
			waiting.Go(func() {
				if took, behind, err := a.waits(number, 0, time.Second); err != nil || took > 20*time.Millisecond {
					t.Errorf("%v, %+v, %v", took, behind, err)
				}
			})
		}
		waiting.Wait()
		if n := a.line.counted("append") - appended; n != 1 {
			t.Errorf("%d barriers for 100 who wait for one number", n)
		}
		if n := a.line.counted("members") - listed; n > 20 {
			t.Errorf("the list was read %d times for 100 who wait", n)
		}
		for range 100 {
			a.Append(t.Context(), []store.Mark{{Kind: store.MarkBarrier}})
		}
		later(10 * time.Millisecond)
		if n := b.line.counted("renew") - renewed; n > 30 {
			t.Errorf("%d renewals for 101 barriers in 110 ms", n)
		}
		for _, p := range all {
			p.line.on(nil)
		}
	})
}

// A member that cannot renew its lease is taken for gone, so that it uses nothing that is stored:
// also where the journal can be read, and takes nothing.
func TestALeaseThatEnds(t *testing.T) {
	for story, calls := range map[string][]string{
		"it may not renew": {"renew"}, "nobody can write": {"renew", "append", "leave"},
		"its own mark cannot be sent": {"append"},
	} {
		together(t, 2, func(t *testing.T, all []*process) {
			a := all[0]
			a.line.cut(calls...)
			a.invalidates("other")
			later(10 * time.Second)
			all[1].Append(t.Context(), []store.Mark{{Kind: store.MarkBarrier}})
			later(17 * time.Second)
			a.uses(t, story+", after 27 s", "page", a.Head(), true)
			later(2 * time.Second)
			a.uses(t, story+", after 29 s", "page", a.Head(), false)
			if s := a.Status(time.Now()); s.InTouch {
				t.Errorf("%s: %+v", story, s)
			}
			if story == "it may not renew" {
				a.logs(t, "it uses nothing that is stored")
			}
			a.line.on(nil)
			later(4 * time.Second)
			a.uses(t, story+", and then it is back", "page", a.Head(), true)
		})
	}
}

// A server that takes over may have lost the list of its members with the newest marks. Who was on
// it is waited for.
func TestAListThatTheJournalLost(t *testing.T) {
	together(t, 2, func(t *testing.T, all []*process) {
		a, b := all[0], all[1]
		later(5 * time.Second)
		lost, _ := a.invalidates("lost")
		b.line.cut()
		a.line.holds.Store(memjournal.NewAfter(1000))
		number, _ := a.invalidates("page")
		_, behind, err := a.waits(number, 0, time.Millisecond)
		if behind == nil || len(behind.Members) != 2 {
			t.Errorf("on the list is nobody: %+v, %v", behind, err)
		}
		took, behind, err := a.waits(number, 0, 5*time.Second)
		if behind == nil || names(behind.Members) != "B" {
			t.Errorf("B was on the list: %v, %+v, %v", took, behind, err)
		}
		took, behind, err = a.waits(lost, 0, 0)
		if behind == nil || behind.Number <= number {
			t.Errorf("what was lost is waited for as number %+v: %v", behind, err)
		}
		b.line.on(nil)
		if took, behind, err = a.waits(lost, 0, 5*time.Second); err != nil || took > 3*time.Second {
			t.Errorf("B is back: %v, %+v, %v", took, behind, err)
		}
		b.uses(t, "then", "lost", lost-1, false)
	})
}

// A server that is short of memory may forget the list alone.
func TestAListThatWasEvicted(t *testing.T) {
	together(t, 2, func(t *testing.T, all []*process) {
		a, b := all[0], all[1]
		later(5 * time.Second)
		b.line.cut("renew", "since", "mark")
		later(time.Second)
		for _, p := range all {
			a.line.holds.Load().Leave(t.Context(), p.id)
		}
		number, _ := a.invalidates("page")
		took, behind, err := a.waits(number, 0, 3*time.Second)
		if behind == nil || names(behind.Members) != "B" {
			t.Errorf("B was on the list: %v, %+v, %v", took, behind, err)
		}
		b.line.on(nil)
		if took, behind, err = a.waits(number, 0, 5*time.Second); err != nil {
			t.Errorf("B is back: %v, %+v, %v", took, behind, err)
		}
	})
}

// A process that was never on the list uses nothing, so that a wait counts all who do. Where the
// journal says that it keeps no list, all is as without one.
func TestAProcessThatCannotJoin(t *testing.T) {
	for _, c := range []struct {
		err  error
		uses bool
		line string
	}{
		{errRefused, false, "it uses nothing that is stored until"},
		{errors.ErrUnsupported, true, "receipts cannot be waited for"},
	} {
		synctest.Test(t, func(t *testing.T) {
			holds := &atomic.Pointer[memjournal.Journal]{}
			holds.Store(memjournal.NewAfter(10))
			p := &process{line: &line{holds: holds, calls: map[string]int{}}}
			p.line.on(func(_ context.Context, call string) error {
				if call == "renew" || call == "members" {
					return c.err
				}
				return nil
			})
			p.Follower = New(Options{Journal: p.line, Timeout: time.Second, MaxLag: 5 * time.Second,
				Log: slog.New(slog.NewTextHandler(p, nil))})
			ctx, cancel := context.WithCancel(t.Context())
			p.Start(ctx)
			later(10 * time.Second)
			p.uses(t, c.err.Error(), "page", p.Head(), c.uses)
			p.logs(t, c.line)
			if _, _, err := p.waits(p.Head(), 0, time.Second); errors.Is(err, errors.ErrUnsupported) != c.uses {
				t.Errorf("%v: waiting ends with %v", c.err, err)
			}
			cancel()
			p.Wait()
		})
	}
}

// One that only reads is on no list.
func TestAReaderIsOnNoList(t *testing.T) {
	together(t, 1, func(t *testing.T, all []*process) {
		r := start(t, all[0].line.holds, "R", true)
		later(3 * time.Second)
		r.uses(t, "a reader", "page", r.Head(), true)
		if n := r.line.counted("renew"); n != 0 {
			t.Errorf("it renewed %d times", n)
		}
		if _, _, err := r.waits(1, 0, time.Second); !errors.Is(err, ErrReadOnly) {
			t.Errorf("it waits: %v", err)
		}
		if s := r.Status(time.Now()); names(s.Members) != "A" {
			t.Errorf("it sees %v", s.Members)
		}
		r.end()
	})
}

func TestNamesOfProcesses(t *testing.T) {
	for name, want := range map[string]string{
		"web-1:42": "web-1:42", "a\x00b\n": "ab", "\xff": "\uFFFD",
		strings.Repeat("ü", 100): strings.Repeat("ü", 64), "x" + strings.Repeat("ü", 100): "x" + strings.Repeat("ü", 63),
	} {
		got := nameOf(name)
		if err := (store.Member{ID: newID(), Name: got}).Validate(); got != want || err != nil {
			t.Errorf("%q becomes %q, want %q: %v", name, got, want, err)
		}
	}
}

// A process that joined just before the journal began anew is on no list that others know of, and
// uses what it knew for MaxLag. A wait does not pass it by.
func TestAMemberThatNobodyHasHeardOf(t *testing.T) {
	for story, begins := range map[string]func(t *testing.T, a *process){
		"the journal begins anew": func(_ *testing.T, a *process) {
			a.line.holds.Store(memjournal.NewAfter(1000))
		},
		"the journal begins anew in the past": func(_ *testing.T, a *process) {
			a.line.holds.Store(memjournal.NewAfter(5))
		},
		"the list is lost": func(t *testing.T, a *process) {
			members, _ := a.line.holds.Load().Members(t.Context())
			for _, m := range members {
				a.line.holds.Load().Leave(t.Context(), m.ID)
			}
		},
	} {
		t.Run(story, func(t *testing.T) {
			together(t, 1, func(t *testing.T, all []*process) {
				a := all[0]
				later(listEvery)
				if took, b, err := a.waits(a.Head(), 0, time.Second); err != nil || took > 20*time.Millisecond {
					t.Errorf("before: %v, %+v, %v", took, b, err)
				}
				fill := a.Head()
				late := start(t, a.line.holds, "late", false)
				later(50 * time.Millisecond)
				late.uses(t, "before", "page", fill, true)
				late.line.cut()
				begins(t, a)
				for number := uint64(0); number <= fill; later(100 * time.Millisecond) {
					number, _ = a.invalidates("page")
				}
				number, held := a.invalidates("page")
				took, b, err := a.waits(number, held, time.Second)
				if b == nil || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("all have applied the mark after %v: %+v, %v", took, b, err)
				}
				if _, b, err = a.waits(number, held, a.MaxLag+time.Second); err != nil {
					t.Errorf("after MaxLag: %+v, %v", b, err)
				}
				late.uses(t, "after the wait", "page", fill, false)
				number, held = a.invalidates("page")
				if took, b, err := a.waits(number, held, time.Second); err != nil || took > 20*time.Millisecond {
					t.Errorf("then: %v, %+v, %v", took, b, err)
				}
				late.line.on(nil)
				late.end()
			})
		})
	}
}
