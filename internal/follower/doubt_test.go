package follower

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// After an outage of all, a process that is back cannot know what one that is not back yet has
// invalidated. It uses nothing that was stored before until it has heard all who were there.
func TestBackInTimeAfterAnOutage(t *testing.T) {
	together(t, 3, func(t *testing.T, all []*process) {
		a, b, c := all[0], all[1], all[2]
		later(5 * time.Second) // all know of each other
		fill := a.Head()
		for _, p := range all {
			p.line.cut()
		}
		later(time.Second)
		a.invalidates("page")
		later(time.Second)
		for _, p := range all {
			p.uses(t, "within MaxLag", "other", fill, true)
		}
		later(10 * time.Second)
		b.line.on(nil)
		c.line.on(nil)
		for range 20 { // A's network returns ten seconds later
			later(500 * time.Millisecond)
			for _, p := range all[1:] {
				p.uses(t, "A is not back", "page", fill, false)
				p.uses(t, "A is not back", "other", fill, false)
			}
		}
		for _, p := range all[1:] {
			if s := p.Status(time.Now()); !s.InTouch || s.Floor <= fill || names(s.Awaits) != "A" {
				t.Errorf("the status of %s: %+v", p.Name, s)
			}
			p.uses(t, "what is filled now", "page", p.Head(), true)
			p.logs(t, "out of touch", "in touch again", "awaits=A")
		}
		a.line.on(nil)
		later(4 * time.Second)
		for _, p := range all {
			p.uses(t, "all are back", "page", fill, false)
			p.uses(t, "all are back", "other", fill, true)
			if s := p.Status(time.Now()); s.Floor != 0 || len(s.Awaits) != 0 {
				t.Errorf("the status of %s: %+v", p.Name, s)
			}
		}
		b.logs(t, "out of touch", "in touch again", "awaits=A", "used again")
		a.logs(t, "out of touch", "in touch again")
	})
}

// What a process asked while it was trusted, and heard when it no longer was, does not have it back
// without a doubt: it was out of touch between, and another one may still be.
func TestAnAnswerThatComesWhenTrustHasEnded(t *testing.T) {
	together(t, 2, func(t *testing.T, all []*process) {
		a, b := all[0], all[1]
		later(5 * time.Second) // they know of each other
		fill := b.Head()
		a.line.cut()
		over := time.Duration(b.touch.heard.Load()) + b.MaxLag
		b.line.on(func(_ context.Context, call string) error {
			if call != "since" {
				return errRefused
			}
			time.Sleep(over + 20*time.Millisecond - b.now()) // it comes late, and it comes
			b.line.on(nil)
			return nil
		})
		later(2 * time.Second)
		a.invalidates("page")
		later(over - b.now() + 10*time.Millisecond)
		b.uses(t, "out of touch", "page", fill, false)
		for range 10 {
			later(500 * time.Millisecond)
			b.uses(t, "A is not back", "page", fill, false)
		}
		a.line.on(nil)
		later(4 * time.Second)
		b.uses(t, "A is back", "page", fill, false)
		b.uses(t, "A is back", "other", fill, true)
	})
}

// So it is when the server has lost its list meanwhile, and a process that was not cut off has stored
// something since: who is not on the new list has not left.
func TestBackInTimeWhereTheListWasLost(t *testing.T) {
	together(t, 3, func(t *testing.T, all []*process) {
		a, b, c := all[0], all[1], all[2]
		later(5 * time.Second)
		a.line.cut()
		b.line.cut()
		later(8 * time.Second)
		c.line.holds.Store(memjournal.NewAfter(1_000_000))
		later(3 * time.Second)
		fill := c.Head()
		c.uses(t, "it was never cut off", "page", fill, true)
		a.invalidates("page")
		b.line.on(nil)
		for range 40 {
			later(250 * time.Millisecond)
			b.uses(t, "A is not back", "page", fill, false)
		}
		a.line.on(nil)
		later(4 * time.Second)
		b.uses(t, "A is back", "page", fill, false)
		b.uses(t, "A is back", "other", fill, true)
	})
}

// When a process has been heard, what it has sent is known here, too, before old entries are used.
func TestWhatWasSentIsKnownFirst(t *testing.T) {
	for phase := range 10 {
		together(t, 2, func(t *testing.T, all []*process) {
			a, b := all[0], all[1]
			later(5 * time.Second)
			fill := a.Head()
			a.line.cut()
			b.line.cut()
			later(time.Second)
			a.invalidates("page")
			later(10 * time.Second)
			b.line.on(func(ctx context.Context, call string) error { // nothing is announced to it
				if call == "mark" {
					<-ctx.Done()
				}
				return nil
			})
			later(5*time.Second + time.Duration(phase)*100*time.Millisecond)
			a.line.on(nil)
			for range 400 {
				later(10 * time.Millisecond)
				b.uses(t, "A comes back", "page", fill, false)
			}
			b.uses(t, "A is back", "other", fill, true)
		})
	}
}

// Who does not come back is past its time when a lease has passed since the return. Who has left
// properly before, or meanwhile, is not waited for.
func TestWhoDoesNotComeBack(t *testing.T) {
	for _, c := range []struct {
		story  string
		leaves time.Duration // how long before the outage; negative: after it began; 0: it does not
		outage time.Duration
		doubts time.Duration
		skew   time.Duration // of the clock that ages go by
	}{
		{"A was killed", 0, 10 * time.Second, store.LeaseTime, 0},
		{"A was killed, and the clocks differ", 0, 10 * time.Second, store.LeaseTime, -20 * time.Second},
		{"A was killed in a long outage", 0, time.Minute, store.LeaseTime, 0},
		{"A had left", listEvery, 10 * time.Second, 0, 0},
		{"A leaves in a short outage of B's", -time.Second, 10 * time.Second, 0, 0},
		{"A leaves in one, and the clocks differ", -time.Second, 10 * time.Second, 0, 8 * time.Second},
	} {
		together(t, 2, func(t *testing.T, all []*process) {
			a, b := all[0], all[1]
			b.line.skew.Store(int64(c.skew + time.Millisecond)) // an age of 0 would say nothing
			later(2 * listEvery)
			fill := b.Head()
			if c.leaves > 0 {
				a.end()
				later(c.leaves)
			}
			b.line.cut()
			if c.leaves < 0 {
				later(-c.leaves)
				a.end()
			}
			a.line.cut()
			later(c.outage)
			b.line.on(nil)
			for !b.InTouch(time.Now()) {
				later(10 * time.Millisecond)
			}
			if c.doubts > 0 {
				later(c.doubts - time.Second)
				b.uses(t, c.story+", and its time is not over", "page", fill, false)
				later(time.Second)
			}
			later(time.Second)
			b.uses(t, c.story, "page", fill, true)
			if c.doubts > 0 {
				b.logs(t, "out of touch", "in touch again", "awaits=A", `"past their time"=A`)
			} else {
				b.logs(t, "out of touch", "in touch again")
			}
		})
	}
}

// Where only one was cut off, the others say at once that they hold nothing.
func TestOneIsBack(t *testing.T) {
	together(t, 3, func(t *testing.T, all []*process) {
		b := all[1]
		later(5 * time.Second)
		fill := b.Head()
		b.line.cut()
		later(10 * time.Second)
		b.line.on(nil)
		for !b.InTouch(time.Now()) {
			later(time.Millisecond)
		}
		later(20 * time.Millisecond)
		b.uses(t, "the others were there all the time", "page", fill, true)
		b.logs(t, "out of touch", "in touch again")
	})
}

// Without the barrier that says from where on entries can be trusted, nothing is used.
func TestAReturnThatCannotBeMarked(t *testing.T) {
	together(t, 2, func(t *testing.T, all []*process) {
		b := all[1]
		b.line.cut()
		later(10 * time.Second)
		b.line.cut("append")
		later(10 * time.Second)
		b.uses(t, "it cannot append", "page", b.Head(), false)
		b.line.on(nil)
		later(3 * time.Second)
		b.uses(t, "it can", "page", b.Head(), true)
	})
}

// One that only reads cannot append a barrier. It waits until the others have renewed since its
// return.
func TestAReaderIsBack(t *testing.T) {
	together(t, 2, func(t *testing.T, all []*process) {
		a := all[0]
		r := start(t, a.line.holds, "R", true)
		later(5 * time.Second)
		fill := a.Head()
		a.line.cut()
		r.line.cut()
		later(time.Second)
		a.invalidates("page")
		later(10 * time.Second)
		r.line.on(nil)
		for range 100 {
			later(100 * time.Millisecond)
			r.uses(t, "A is not back", "page", fill, false)
			r.uses(t, "A is not back", "other", fill, false)
		}
		r.uses(t, "what is filled after the next mark", "page", r.Head()+1, true)
		a.line.on(nil)
		for range 50 {
			later(100 * time.Millisecond)
			r.uses(t, "A comes back", "page", fill, false)
		}
		r.uses(t, "A is back", "other", fill, true)
		if n := r.line.counted("append"); n != 0 {
			t.Errorf("it appended %d times", n)
		}
		r.end()
	})
}

// What people are shown of the list is what members may write there.
func TestAListThatSomebodySpoilt(t *testing.T) {
	together(t, 1, func(t *testing.T, all []*process) {
		a := all[0]
		a.line.spoilt.Store(true)
		later(listEvery)
		if s := a.Status(time.Now()); names(s.Members) != "A" {
			t.Errorf("the members are %q", names(s.Members))
		}
	})
}

// A second outage begins the doubt anew: who was awaited still is.
func TestOutAgainWhileInDoubt(t *testing.T) {
	together(t, 3, func(t *testing.T, all []*process) {
		a, b := all[0], all[1]
		later(5 * time.Second)
		fill := b.Head()
		a.line.cut()
		b.line.cut()
		later(time.Second)
		a.invalidates("page")
		later(9 * time.Second)
		b.line.on(nil)
		later(5 * time.Second)
		first := b.Status(time.Now()).Floor
		b.line.cut()
		later(18 * time.Second) // A's lease ends
		b.line.on(nil)
		later(10 * time.Second)
		b.uses(t, "A is not back", "other", fill, false)
		if s := b.Status(time.Now()); s.Floor <= first || names(s.Awaits) != "A" {
			t.Errorf("the first floor was %d, and now: %+v", first, s)
		}
		a.line.on(nil)
		later(4 * time.Second)
		b.uses(t, "A is back", "other", fill, true)
		b.uses(t, "A is back", "page", fill, false)
	})
}

// A server takes over whose clock is behind, while processes are out of touch: the barrier of their
// return gets a number from the past. They have the journal begin anew above what they know, and are
// back.
func TestADoubtInAJournalThatBeganInThePast(t *testing.T) {
	together(t, 2, func(t *testing.T, all []*process) {
		a, b := all[0], all[1]
		for range 100 { // so that tries do not make up for it
			a.invalidates("before")
		}
		later(time.Second)
		for _, p := range all {
			p.line.cut()
		}
		later(7 * time.Second)
		a.invalidates("page")
		stored := b.Head()
		old := b.line.holds.Load()
		b.line.holds.Store(memjournal.NewAfter(3)) // its numbers are 4, 5, …
		for _, p := range all {
			p.line.heeds.Store(true)
			p.line.on(nil)
		}
		later(5 * time.Second)
		for _, p := range all {
			if !p.InTouch(time.Now()) || p.Owes() {
				t.Errorf("%s: in touch %t, owes %t; its head is %d, and was %d", p.Name,
					p.InTouch(time.Now()), p.Owes(), p.Head(), stored)
			}
			p.uses(t, "the journal began anew", "page", stored, false)
		}
		if old == b.line.holds.Load() || b.Head() <= stored {
			t.Errorf("the head is %d, and was %d", b.Head(), stored)
		}
	})
}

// A process that is back doubts what a successor of its server has, too, when it comes to that before
// all have been heard: others who have been there may be cut off again.
func TestADoubtGoesOnAtASuccessor(t *testing.T) {
	together(t, 2, func(t *testing.T, all []*process) {
		a, b := all[0], all[1]
		later(5 * time.Second) // they know of each other
		a.line.cut()
		b.line.cut()
		later(8 * time.Second)
		a.invalidates("page")
		b.line.on(nil)
		later(2 * time.Second)
		old := b.Status(time.Now()).Floor
		if old == 0 {
			t.Fatal("it does not await A")
		}
		successor := memjournal.NewAfter(1000)
		b.line.holds.Store(successor)
		b.learn([]store.Numbered{{Mark: store.Mark{Kind: store.MarkEverything}, Number: 1000,
			After: old}})
		const fill = 1000 // what A has stored there
		for range 20 {
			b.uses(t, "A is not back", "page", fill, false)
			b.uses(t, "A is not back", "other", fill, false)
			later(250 * time.Millisecond)
		}
		if s := b.Status(time.Now()); s.Floor != 1001 || names(s.Awaits) != "A" {
			t.Errorf("%+v; want a doubt from the barrier on that the successor has, and to await A", s)
		}
		a.line.on(nil)
		later(4 * time.Second)
		b.uses(t, "A is back", "page", fill, false)
		b.uses(t, "A is back", "other", fill, true)
	})
}

// A successor may have a copy of its master's list of before: who is on it as before is not back.
func TestAGhostOnACopiedList(t *testing.T) {
	ghost := sighting{Member: store.Member{ID: "a", Applied: 50}}
	for _, c := range []struct {
		applied uint64
		back    bool
	}{{0, false}, {50, false}, {99, false}, {100, true}, {101, true}} {
		r := &roster{ghosts: map[string]sighting{"a": ghost}, until: time.Minute}
		r.note(&reading{members: []store.Member{{ID: "a", Applied: c.applied}}}, "b", 100)
		if got := len(r.missing()) == 0; got != c.back {
			t.Errorf("who has applied %d of a journal that began at 100 is back: %t; want %t", c.applied,
				got, c.back)
		}
	}
}

// A doubt that waits for another barrier ends where the successor keeps no list: nobody can be heard.
func TestADoubtEndsWhereThereIsNoList(t *testing.T) {
	together(t, 1, func(t *testing.T, all []*process) {
		f := all[0].Follower
		f.doubts.floor.Store(20)
		if !f.doubts.beganAnew(30) || f.settled(nil, errRefused) {
			t.Error("the doubt is over without a list of the successor's")
		}
		if !f.settled(nil, errors.ErrUnsupported) || f.doubts.floor.Load() != 0 {
			t.Errorf("the doubt goes on, from %d", f.doubts.floor.Load())
		}
	})
}
