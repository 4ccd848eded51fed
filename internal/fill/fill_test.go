package fill

import (
	"context"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/stall"
)

// groupOf returns a group with bounds in bytes, whose store has no body.
func groupOf(fills, reads int64) *Group {
	g := &Group{}
	g.Init(fills, reads, func(string, []byte) bool { return false })
	return g
}

// tooLong returns a fill whose body is not kept.
func tooLong(g *Group) *Fill {
	f := g.New(Start{})
	f.body.keeping = false
	return f
}

// idle fails unless everything that fills take is given back.
func idle(t *testing.T, g *Group) {
	t.Helper()
	want(t, "bytes of the budget that are left taken", g.Budget.Used(), 0)
	want(t, "keys of fills", g.Len(), 0)
	want(t, "bodies that are left counted", g.Pins.Len(), 0)
	want(t, "bytes of them", g.Pins.Used(), 0)
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// Of a body that became too long to be kept, all that was kept stays in memory until its last byte
// is read. Until then the budget counts it.
func TestTheBudgetCountsWhatIsStillInMemory(t *testing.T) {
	const limit = 1 << 20
	g := groupOf(4*limit, 4*limit)
	f := g.New(Start{Limit: limit})
	reader, _ := f.Enter()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	write := func(n int) {
		t.Helper()
		if err := f.Write(ctx, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	write(limit)
	reader.off, reader.taken = limit-1, limit-1
	write(1)
	if used := g.Budget.Used(); used < limit {
		t.Errorf("one byte of %d is still to be read, and the budget counts %d", limit, used)
	}
	reader.off, reader.taken = limit, limit
	write(1)
	if used := g.Budget.Used(); used != window {
		t.Errorf("all that was kept is read, and the budget counts %d; want %d", used, window)
	}
	reader.Leave()
	f.Release()
	idle(t, g)
}

// Readers leave in whatever order, and each takes itself away and nobody else.
func TestReadersLeaveInAnyOrder(t *testing.T) {
	f := groupOf(1<<20, 1<<20).New(Start{})
	here := map[*Reader]bool{}
	check := func() {
		t.Helper()
		if len(f.readers) != len(here) {
			t.Fatalf("%d readers, want %d", len(f.readers), len(here))
		}
		for _, rd := range f.readers {
			if !here[rd] {
				t.Fatal("one who has left is still there")
			}
		}
	}
	for range 100 {
		rd, _ := f.Enter()
		here[rd] = true
	}
	for rd := range here { // in no order
		rd.Leave()
		delete(here, rd)
		check()
		if len(here)%7 == 0 && len(here) > 0 {
			again, _ := f.Enter()
			here[again] = true
			check()
			again.Leave()
			delete(here, again)
			check()
		}
	}
}

// A reader that stalls on a body too long to be kept does not make it go a byte at a time for the
// others.
func TestAStalledReaderLeavesTheOthersTheirPace(t *testing.T) {
	f := tooLong(groupOf(1<<20, 1<<20))
	f.body.tail.add(0, make([]byte, window))
	stalled, _ := f.Enter()
	fast, _ := f.Enter()
	fast.off, fast.taken = window, window
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, err := f.room(context.Background(), 32<<10); n < 4<<10 || err != nil {
		t.Errorf("room for %d bytes of 32 KiB, %v; want at least 4 KiB at a time", n, err)
	}
	if stalled.off >= f.body.base {
		t.Errorf("the stalled reader at %d is waited for: the body begins at %d", stalled.off,
			f.body.base)
	}
}

// A reader is cut off when it is further behind than the window, and not before.
func TestAReaderWithinTheWindowIsNotCutOff(t *testing.T) {
	f := tooLong(groupOf(1<<20, 1<<20))
	f.body.tail.add(0, make([]byte, window/2))
	slow, _ := f.Enter()
	fast, _ := f.Enter()
	fast.off, fast.taken = window/2, window/2
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, err := f.room(t.Context(), 1<<10); n != 1<<10 || err != nil {
		t.Errorf("room for %d bytes of 1 KiB, %v", n, err)
	}
	if slow.off < f.body.base {
		t.Errorf("the body begins at %d: a reader %d bytes behind is cut off", f.body.base,
			window/2)
	}
}

// A body that is stored holds little more memory than its length.
func TestABodyThatIsStoredIsPacked(t *testing.T) {
	for _, c := range []struct{ length, room, most int }{{1000, 2000, 1000}, {1000, 1200, 1000},
		{1000, 1100, 1100}} {
		f := &Fill{body: body{keeping: true, kept: make([]byte, c.length, c.room)}}
		f.Whole()
		if cap(f.body.kept) > c.most {
			t.Errorf("%d bytes in room for %d are stored in room for %d, want %d", c.length, c.room,
				cap(f.body.kept), c.most)
		}
	}
}

// Readers of a body that is not kept flush when its handler has, like those of one that is.
func TestAReaderOfALongBodyFlushes(t *testing.T) {
	f := tooLong(groupOf(1<<20, 1<<20))
	f.body.base = 100
	rd := &Reader{f: f, off: 100, taken: 100}
	f.readers = []*Reader{rd}
	f.body.tail.add(100, make([]byte, 10))
	f.Flush()
	if p, err := rd.Next(t.Context()); err != nil || len(p.Bytes) != 10 || !p.Flush {
		t.Errorf("%d bytes, flush %v, %v; want 10, to be flushed", len(p.Bytes), p.Flush, err)
	}
}

// A body that was cut is neither stored nor begun to be read; one that came to its end is both.
// Where its beginning is gone, nobody begins.
func TestWhoMayHaveABody(t *testing.T) {
	for _, s := range []struct {
		ended, cut         bool
		base               int64
		read, kept, broken bool
	}{
		{false, false, 0, true, true, false},
		{true, false, 0, true, true, false},
		{true, true, 0, false, false, true},
		{false, false, 10, false, true, false},
	} {
		f := &Fill{body: body{keeping: true, kept: []byte("page"), ended: s.ended, cut: s.cut,
			base: s.base}}
		_, read := f.Enter()
		_, kept := f.Whole()
		if read != s.read || kept != s.kept || f.Broken() != s.broken {
			t.Errorf("%+v: read %v, kept %v, broken %v", s, read, kept, f.Broken())
		}
	}
}

// A run is given up for one reason, the first; and one whose body has come to its end is not given
// up any more.
func TestARunIsGivenUpOnce(t *testing.T) {
	g := groupOf(1<<20, 1<<20)
	f := g.New(Start{})
	f.GiveUp("waited")
	f.GiveUp("timeout")
	if why := f.GivenUp(); why != "waited" {
		t.Errorf("it was given up for %q", why)
	}
	whole := g.New(Start{})
	whole.End(false, nil)
	whole.GiveUp("timeout")
	if why := whole.GivenUp(); why != "" {
		t.Errorf("a whole body was given up for %q", why)
	}
}

// What is written makes no more room for itself than half the window: a reader within the window is
// not cut off for a long write.
func TestALongWriteCutsNobodyOff(t *testing.T) {
	f := tooLong(groupOf(1<<20, 1<<20))
	f.body.tail.add(0, make([]byte, window/2))
	slow, _ := f.Enter()
	fast, _ := f.Enter()
	fast.off, fast.taken = window/2, window/2
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, err := f.room(t.Context(), 4*window); n != window/2 || err != nil {
		t.Errorf("room for %d bytes, %v; want the other half of the window", n, err)
	}
	if slow.off < f.body.base {
		t.Errorf("the body begins at %d: a reader %d bytes behind is cut off", f.body.base,
			window/2)
	}
}

// A body in memory of just its length is not copied; what readers still have of one that was counts
// as long as they write it.
func TestABodyIsCopiedWhereItsMemoryIsLonger(t *testing.T) {
	for _, s := range []struct {
		size, room int
		copied     bool
		busy       bool
		pins       int
	}{
		{1 << 10, 1 << 10, false, true, 1}, {1 << 10, 1<<10 + 1<<7, false, true, 1},
		{1 << 10, 2 << 10, true, true, 2}, {1 << 10, 2 << 10, true, false, 1},
	} {
		g := groupOf(1<<20, 1<<20)
		f := g.New(Start{Limit: 1 << 20})
		f.Stream(make([]byte, s.size, s.room))
		f.Take(int64(s.room))
		before := &f.body.kept[0]
		rd, _ := f.Enter()
		if rd.taken = int64(s.size); !s.busy {
			rd.off = rd.taken
		}
		body, _ := f.Whole()
		if copied := &body[0] != before; copied != s.copied {
			t.Errorf("%+v: copied %v", s, copied)
		}
		f.HandOver("k")
		if len(f.pins) != s.pins {
			t.Errorf("%+v: %d bodies are counted", s, len(f.pins))
		}
		rd.Leave()
		f.Release()
		idle(t, g)
	}
}

// A body that took nothing of the budget is not counted when it is handed over: it is so short that
// nobody's memory depends on it.
func TestAShortBodyIsNotCounted(t *testing.T) {
	g := groupOf(1<<20, 1<<20)
	f := g.New(Start{})
	f.Stream([]byte("page"))
	rd, _ := f.Enter()
	f.HandOver("k")
	if len(f.pins) != 0 || g.Pins.Used() != 0 {
		t.Errorf("%d bodies of %d bytes are counted", len(f.pins), g.Pins.Used())
	}
	rd.Leave()
	f.Release()
}

// A client that begins to read when the page is stored already can be cut off like all others.
func TestWhoBeginsToReadWhenThePageIsStoredIsWatched(t *testing.T) {
	g := groupOf(4<<20, 4<<20)
	const size = 1 << 20
	f := g.New(Start{Limit: size})
	if err := f.Write(t.Context(), make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	rd, _ := f.Enter()
	f.HandOver("key")
	want(t, "clients that can be cut off before it reads", len(f.pins[0].clients), 0)
	f.End(false, nil)
	rd.Watch(stall.New(0, func(time.Time) error { return nil }))
	p := f.pins[0]
	want(t, "clients that can be cut off", len(p.clients), 1)
	want(t, "others", p.others, 0)
	rd.Leave()
	f.Release()
	idle(t, g)
	want(t, "what is held in the end", g.Pins.Used(), 0)
}
