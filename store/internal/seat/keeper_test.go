package seat

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// simulated runs a test with n servers in virtual time.
func simulated(t *testing.T, n int, do func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(n, 1)
		do(t, c)
		c.with(func() { // what still waits for a server ends
			for _, s := range c.servers {
				s.down = true
			}
		})
		time.Sleep(2 * c.timeout)
	})
}

func (c *cluster) keeper(t *testing.T, process string) *Keeper {
	done, end := context.WithCancel(context.Background())
	t.Cleanup(end)
	return New(done, line{c, process})
}

// find is Find with the time that a call has.
func find(k *Keeper) (Seat, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	defer cancel()
	s, _, err := k.Find(ctx)
	return s, err
}

// within finds the seat that is other than before, as it must within some time.
func within(t *testing.T, k *Keeper, most time.Duration, before Seat) Seat {
	t.Helper()
	for end := time.Now().Add(most); ; time.Sleep(100 * time.Millisecond) {
		s, err := find(k)
		if err == nil && s != before {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("not in %v: %v, %v; before it was %v", most, s, err, before)
		}
	}
}

// wantCopies checks what the servers have, in virtual time's next 50 milliseconds.
func (c *cluster) wantCopies(t *testing.T, story string, want Seat, servers ...string) {
	t.Helper()
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range servers {
		if got := c.servers[name].copy; got != want {
			t.Errorf("%s: %s has the copy %v; want %v", story, name, got, want)
		}
	}
}

// Many processes that begin at once agree on one seat, and none of them ever sees another.
func TestProcessesThatBeginAtOnce(t *testing.T) {
	for n := 3; n <= 5; n++ {
		for seed := range uint64(20) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(n, seed)
				var all sync.WaitGroup
				var seats [10]Seat
				for i := range seats {
					k := c.keeper(t, fmt.Sprint(i))
					all.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
						defer cancel()
						var err error
						if seats[i], _, err = k.Find(ctx); err != nil {
							t.Errorf("%d servers, process %d: %v", n, i, err)
						}
						for range 20 {
							time.Sleep(50 * time.Millisecond)
							if s, err := find(k); s != seats[i] || err != nil {
								t.Errorf("%d servers, process %d: it was at %v, and then at %v, %v", n, i,
									seats[i], s, err)
							}
						}
					})
				}
				all.Wait()
				for i, s := range seats {
					if s != seats[0] {
						t.Errorf("%d servers: process %d is at %v, and the first at %v", n, i, s, seats[0])
					}
				}
				c.wantCopies(t, "after all have begun", seats[0], c.order...)
				time.Sleep(2 * callTimeout)
			})
		}
	}
}

// The journal's server goes: after about a second the journal is on another one. When the old one is
// back, it is given the copy, and stays without the journal.
func TestTheJournalMoves(t *testing.T) {
	for story, c := range map[string]struct{ goes, returns func(*fakeServer) }{
		"killed": {func(s *fakeServer) { s.down = true; s.forget() }, func(s *fakeServer) { s.down = false }},
		"hangs":  {func(s *fakeServer) { s.hangs = true }, func(s *fakeServer) { s.hangs = false }},
	} {
		t.Run(story, func(t *testing.T) {
			simulated(t, 3, func(t *testing.T, servers *cluster) {
				servers.timeout = 3 * writeWithin // nobody waits for that
				a, b := servers.keeper(t, "A"), servers.keeper(t, "B")
				first, err := find(a)
				if err != nil {
					t.Fatal(err)
				}
				within(t, b, 0, Seat{})
				servers.with(func() { c.goes(servers.servers[first.Server]) })
				gone := time.Now()
				second := within(t, a, 3*time.Second, first)
				if took := time.Since(gone); took < time.Second {
					t.Errorf("it moved after %v", took)
				}
				if second.Server == first.Server || second.Number < first.Number+gap {
					t.Errorf("from %v it moved to %v", first, second)
				}
				if got := within(t, b, 0, first); got != second {
					t.Errorf("the other process is at %v; want %v", got, second)
				}
				servers.with(func() { c.returns(servers.servers[first.Server]) })
				for range 20 {
					time.Sleep(100 * time.Millisecond)
					for _, k := range []*Keeper{a, b} {
						if got, err := find(k); got != second || err != nil {
							t.Errorf("when the server is back: %v, %v; want %v", got, err, second)
						}
					}
				}
				servers.wantCopies(t, "then", second, servers.order...)
			})
		})
	}
}

// A server other than the journal's goes: nothing happens. Neither does anything when the journal's
// is slow once.
func TestTheJournalStays(t *testing.T) {
	simulated(t, 3, func(t *testing.T, c *cluster) {
		k := c.keeper(t, "A")
		first, err := find(k)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range c.order {
			if name == first.Server {
				continue
			}
			c.with(func() { c.servers[name].hangs = true })
			for range 30 {
				time.Sleep(100 * time.Millisecond)
				if got, err := find(k); got != first || err != nil {
					t.Errorf("while %s hangs: %v, %v", name, got, err)
				}
			}
			c.with(func() { c.servers[name].hangs = false })
		}
		c.with(func() { c.servers[first.Server].hangs = true })
		time.Sleep(time.Minute) // nobody asks
		for range 2 {
			if got, err := find(k); err == nil {
				t.Errorf("while the journal's server hangs: %v", got)
			}
		}
		c.with(func() { c.servers[first.Server].hangs = false })
		if got, err := find(k); got != first || err != nil {
			t.Errorf("when the journal's server is back: %v, %v", got, err)
		}
	})
}

// With two of three servers gone, there is no journal, and a process that reaches the third makes
// none.
func TestNoMajority(t *testing.T) {
	simulated(t, 3, func(t *testing.T, c *cluster) {
		k := c.keeper(t, "A")
		first, err := find(k)
		if err != nil {
			t.Fatal(err)
		}
		c.with(func() {
			for _, name := range c.order {
				c.servers[name].down = name != first.Server
			}
		})
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			got, err := find(k)
			if e, ok := errors.AsType[*Error](err); !ok || e.Heard != 1 || e.Servers != 3 || e.Cause != errDown {
				t.Fatalf("with one server of three: %v, %v", got, err)
			}
			if err := k.Write(t.Context(), func(Seat) error { return nil }); err == nil {
				t.Error("with one server of three, something written counts")
			}
		}
		want := "too few of the journal's servers answer: 1 of 3 answer: connection refused"
		if _, err := find(k); err.Error() != want {
			t.Errorf("the error is %q; want %q", err, want)
		}
		c.with(func() {
			for _, name := range c.order {
				c.servers[name].down = false
			}
		})
		if got, err := find(k); got != first || err != nil {
			t.Errorf("when they are back: %v, %v; want %v", got, err, first)
		}
	})
}

// What the journal's server has lost moves at once, and the numbers go on above.
func TestAServerThatForgets(t *testing.T) {
	simulated(t, 3, func(t *testing.T, c *cluster) {
		k := c.keeper(t, "A")
		first, err := find(k)
		if err != nil {
			t.Fatal(err)
		}
		c.with(func() { c.servers[first.Server].forget() })
		second, err := find(k)
		if err != nil || second.Number < first.Number+gap {
			t.Errorf("after %v: %v, %v", first, second, err)
		}
		c.wantCopies(t, "then", second, c.order...)
		other := c.order[0]
		if other == second.Server {
			other = c.order[1]
		}
		c.with(func() { c.servers[other].forget() })
		if got, err := find(k); got != second || err != nil {
			t.Errorf("another server has forgotten: %v, %v; want %v", got, err, second)
		}
		c.wantCopies(t, "when another has forgotten", second, c.order...)
		c.with(func() { c.servers[second.Server].forget() })
		if got, err := find(k); err == nil {
			t.Errorf("a server that forgets all the time: it moved to %v at once", got)
		}
		time.Sleep(firstPause)
		if second, err = find(k); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * firstPause)
		c.with(func() {
			for _, s := range c.servers {
				s.forget()
			}
		})
		third, err := find(k)
		if err != nil || third.Number < second.Number+gap {
			t.Errorf("all have forgotten, after %v: %v, %v", second, third, err)
		}
	})
}

// What is written at a seat that is not agreed on any more is written again at the one that is.
func TestWriteFollowsTheSeat(t *testing.T) {
	simulated(t, 3, func(t *testing.T, c *cluster) {
		a, b := c.keeper(t, "A"), c.keeper(t, "B")
		first, err := find(a)
		if err != nil {
			t.Fatal(err)
		}
		c.with(func() { c.cut["B "+first.Server] = true })
		second := within(t, b, 5*time.Second, Seat{}) // who was never there finds its server cut off
		if second == first {
			t.Fatalf("B is at %v", second)
		}
		var at []Seat
		if err := a.Write(t.Context(), func(s Seat) error { at = append(at, s); return nil }); err != nil ||
			len(at) != 2 || at[0] != first || at[1] != second {
			t.Errorf("written at %v, %v; want at %v, then at %v", at, err, first, second)
		}
		if got, err := find(a); got != second || err != nil {
			t.Errorf("A is at %v, %v; want %v, where B is", got, err, second)
		}
		refused := errors.New("it is full")
		if err := a.Write(t.Context(), func(Seat) error { return refused }); err != refused {
			t.Errorf("an error of the journal's own server: %v", err)
		}
	})
}

// A process that was stopped between what it read and what it writes writes nothing.
func TestNothingIsWrittenForWhatWasReadLongAgo(t *testing.T) {
	simulated(t, 3, func(t *testing.T, c *cluster) {
		k := c.keeper(t, "A")
		at := Seat{5, "a"}
		for age, want := range map[time.Duration]Seat{writeWithin: {}, writeWithin / 2: at} {
			c.with(func() { c.servers["b"].version, c.servers["b"].copy = 0, Seat{} })
			k.repair(at, Answer{Server: "b", Item: 0}, time.Now().Add(-age))
			c.wantCopies(t, fmt.Sprint("after ", age), want, "b")
			v := &view{servers: 3, began: time.Now().Add(-age)}
			for _, name := range c.order {
				v.answers = append(v.answers, Answer{Server: name, Item: c.servers[name].version})
			}
			if won := k.put(v, Seat{9, "c"}); won != (age < writeWithin) {
				t.Errorf("after %v, a seat that was proposed is agreed on: %t", age, won)
			}
		}
	})
}

// A seat that a copy names is not passed by, though a majority names an earlier one: it may have been
// agreed on, by servers one of which has forgotten it. All agree on a later one.
func TestACopyOfALaterSeat(t *testing.T) {
	simulated(t, 3, func(t *testing.T, c *cluster) {
		k := c.keeper(t, "A")
		first, err := find(k)
		if err != nil {
			t.Fatal(err)
		}
		later := Seat{first.Number + 5*gap, first.Server}
		c.with(func() {
			name := c.order[0]
			if name == first.Server {
				name = c.order[1]
			}
			c.servers[name].copy = later
		})
		if got := within(t, k, 2*time.Second, first); got.Number < later.Number+gap {
			t.Errorf("after %v and %v: %v", first, later, got)
		}
	})
}

func TestAProcessKeepsTheLatestSeat(t *testing.T) {
	k := New(t.Context(), line{})
	for _, s := range []Seat{old, next, old} {
		k.adopt(s)
	}
	if got := k.Seat(); got != next {
		t.Errorf("it is at %v; want %v", got, next)
	}
}

// A call that nobody waits for, or that has no time, says nothing of the servers.
func TestACallThatIsCancelled(t *testing.T) {
	simulated(t, 3, func(t *testing.T, c *cluster) {
		k := c.keeper(t, "A")
		first, err := find(k)
		if err != nil {
			t.Fatal(err)
		}
		c.with(func() { c.servers[first.Server].hangs = true })
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			if _, _, err := k.Find(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("%v", err)
			}
		}
		for range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), leastTime-1)
			if _, _, err := k.Find(ctx); err == nil {
				t.Fatal("a server that hangs has answered")
			}
			cancel()
			time.Sleep(50 * time.Millisecond)
		}
		if k.doubt.times != 0 {
			t.Errorf("it doubts the journal's server after calls that say nothing: %+v", k.doubt)
		}
	})
}
