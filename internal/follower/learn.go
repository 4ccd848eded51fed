package follower

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/freshet-go/freshet/store"
)

// learn applies marks that the journal gave out, and holds those that it lost before it began anew:
// before it applies the beginning, so that no request finds neither.
func (f *Follower) learn(marks []store.Numbered) {
	for _, m := range marks {
		if m.After == 0 {
			continue
		}
		if m.Number > f.recent.beginning() {
			f.beginsAnew()
		}
		f.begins(m.Number)
		n := f.recent.lost(m, f.unsent.hold)
		if again := f.doubts.beganAnew(m.Number); n == 0 && !again {
			continue
		}
		level := slog.LevelWarn
		if m.After == 1 { // the server knows of nothing: it is a new one, or has lost all its data
			level = slog.LevelDebug
		}
		if n > 0 {
			f.Log.Log(context.Background(), level, "freshet: journal: its server may have lost the "+
				"newest invalidations, as at a failover: those that this process knows of are "+
				"appended again", "marks", n)
		}
		select {
		case f.held <- struct{}{}:
		default:
		}
	}
	begins := f.seen.Load() == 0
	for i, m := range marks {
		// what stands for marks that others know of is not for this process to append again
		stands := m.After > 0 || begins && i == 0 && m.Kind == store.MarkEverything
		if !stands {
			f.remember(m)
		}
		f.note(m)
		switch {
		case m.Kind == store.MarkBarrier:
			f.renewSoon()
		case m.Kind == store.MarkNotice && f.Notice != nil:
			f.Notice(m.Name)
		}
	}
}

// remember notes a mark that the journal may lose. Of a barrier, it is enough that there was one.
func (f *Follower) remember(m store.Numbered) {
	switch {
	case m.Kind.Covers():
		f.recent.note(m)
	case m.Kind == store.MarkBarrier:
		atomicMax(&f.barred, m.Number)
	}
}

// note applies a mark of the journal's.
func (f *Follower) note(m store.Numbered) {
	f.replica.Apply(m)
	f.reached(m.Number)
}

// reached notes that every mark up to number has been applied.
func (f *Follower) reached(number uint64) {
	atomicMax(&f.seen, number)
	if f.touch.late.Load() {
		f.measure()
	}
}

func atomicMax(a *atomic.Uint64, n uint64) {
	for {
		old := a.Load()
		if n <= old || a.CompareAndSwap(old, n) {
			return
		}
	}
}

// Knows reports whether every mark of the journal up to number has been applied. An entry with a
// greater number proves that marks are missing here.
func (f *Follower) Knows(number uint64) bool {
	return number <= f.seen.Load() || !f.Shared()
}

// Seen returns up to which number all marks have been applied: what a fill that begins now notes. A
// mark that comes later covers the fill, and all that it finds stored was judged by those before. A
// greater number would not do: the newest known one may be of this process's own mark, and the fill
// may read something stored that another's, which is missing below that, covers.
func (f *Follower) Seen() uint64 {
	if !f.Shared() {
		return f.Head()
	}
	return f.seen.Load()
}

// Lacks reports whether marks are known to be missing below the newest one that has been applied. It
// costs two atomic loads.
func (f *Follower) Lacks() bool { return !f.Knows(f.Head()) }

// Complete asks the journal for the marks that are missing below the newest one that has been
// applied, as Reach does, if there are any.
func (f *Follower) Complete() {
	if head := f.Head(); !f.Knows(head) {
		f.Reach(head)
	}
}

// Sees reports whether a mark that was given the number, by this process or another, and every mark
// before it have been applied here. Unlike Knows it is for numbers that the journal gave to others:
// it is false for one from before the journal began anew, whose mark may be lost, and for one that no
// mark here has: while two servers are there, both give out numbers of the same time. Without a journal
// there is nothing to see, and it is true.
func (f *Follower) Sees(number uint64) bool {
	if !f.Shared() {
		return true
	}
	return f.Knows(number) && number > f.begun.Load() &&
		(number <= f.replica.Floor() || f.recent.has(number))
}

// begins notes that the journal began anew at number.
func (f *Follower) begins(number uint64) {
	for {
		begun := f.begun.Load()
		if number <= begun || f.begun.CompareAndSwap(begun, number) {
			return
		}
	}
}

// Reach asks the journal for what is new, and reports what Knows does then. It takes up to twice
// Timeout: those who come while the journal is asked wait for that answer, and share the next. A
// journal that did not answer when it was last asked is not asked: its numbers up to the newest that
// this process was given itself count as known then.
func (f *Follower) Reach(number uint64) bool {
	came := f.asks.Load()
	f.reaching <- struct{}{}
	defer func() { <-f.reaching }()
	if f.Knows(number) {
		return true
	}
	if !f.lost.Load() && f.asks.Load() == came {
		f.asks.Add(1)
		f.askNow()
	}
	return f.Knows(number) || f.lost.Load() && number <= f.Head()
}

// askNow applies what is new, and reports whether it has within Timeout. Unlike catchUp, it leaves a
// journal that was lost alone.
func (f *Follower) askNow() bool {
	ctx, cancel := f.context()
	defer cancel()
	for answered := false; ; answered = true {
		known, seen := f.Head(), f.seen.Load()
		marks, head, err := f.since(ctx, seen)
		if err != nil && !answered { // or else it is much, and not the journal
			f.fell(err)
		}
		if err != nil || head < known {
			return false
		}
		f.learn(marks)
		if reaches(seen, marks, head) >= head {
			f.replica.Advance(head)
			f.reached(head)
			return true
		}
	}
}
