package cdn_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// invalidates hands a tag on as a Cache does: taken is closed when its journal has the invalidation.
func invalidates(
	t *testing.T, b *cdn.Outbox, taken <-chan struct{}, name string,
) (wait func(context.Context) error) {
	t.Helper()
	return b.OnInvalidate(t.Context(), middleware.Invalidation{Tags: []string{name}, Taken: taken})
}

// owes returns what the Outbox owes to its one target, as text.
func owes(t *testing.T, b *cdn.Outbox) string {
	t.Helper()
	owed, err := b.Owed(t.Context())
	if err != nil || len(owed) > 1 {
		t.Fatalf("owed: %v, %v", owed, err)
	}
	for _, o := range owed {
		return fmt.Sprint(o.Count, " ", o.LastError)
	}
	return ""
}

// What the journal has not taken is held until it has, and for the delay then, so that no process
// gives the cache in front the old page again. Others do not wait for it.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}})
		taken := make(chan struct{})
		wait := invalidates(t, b, taken, "a")
		invalidates(t, b, taken, "a")
		purge(t, b, tags("b"))
		if time.Sleep(5 * time.Second); edge.has() != "b" {
			t.Errorf("sent %q before the journal has it, want b alone", edge.has())
		}
		if got := owes(t, b); got != "1 "+middleware.ErrUnsent.Error() {
			t.Errorf("owed: %s", got)
		}
		purge(t, b, cdn.Purge{All: true})
		purge(t, b, tags("a")) // the journal has taken this one
		if time.Sleep(4 * time.Second); edge.has() != "b | ALL" && edge.has() != "b | ALL | a" {
			t.Errorf("sent %q", edge.has())
		}
		before := edge.has()
		close(taken)
		if time.Sleep(999 * time.Millisecond); edge.has() != before {
			t.Errorf("sent %q before the delay has passed", edge.has())
		}
		if err := wait(t.Context()); err != nil || edge.has() != before+" | a" {
			t.Errorf("sent %q, error %v, once the journal has it", edge.has(), err)
		}
		if time.Sleep(time.Hour); edge.has() != before+" | a" || owes(t, b) != "" {
			t.Errorf("sent %q, and owed %q", edge.has(), owes(t, b))
		}
	})
}

// What the journal does not take for so long is sent all the same, and once more when it has.
func TestHeldForTooLong(t *testing.T) {
	for _, tt := range []struct{ bound, sent time.Duration }{
		{0, 11 * time.Second}, {time.Minute, 61 * time.Second}, {-1, time.Second},
	} {
		t.Run(tt.bound.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				edge := &fakeTarget{name: "edge"}
				b := open(t, cdn.Options{Targets: []cdn.Target{edge}, MaxHeld: tt.bound})
				taken, start := make(chan struct{}), time.Now()
				wait := invalidates(t, b, taken, "a")
				time.Sleep(time.Hour)
				if edge.has() != "a" || edge.at[0].Sub(start) != tt.sent {
					t.Errorf("sent %q at %v, want it once, after %v", edge.has(), edge.at, tt.sent)
				}
				soon, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := wait(soon); !errors.Is(err, context.DeadlineExceeded) ||
					!strings.Contains(err.Error(), middleware.ErrUnsent.Error()) {
					t.Errorf("the error of who waits is %v", err)
				}
				close(taken)
				if err := wait(t.Context()); err != nil || edge.has() != "a | a" {
					t.Errorf("sent %q, error %v, once the journal has it", edge.has(), err)
				}
			})
		})
	}
}

// What is asked for again and again while the journal is away is sent once in a second or two.
func TestHeldAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge"}
		b, taken := open(t, cdn.Options{Targets: []cdn.Target{edge}, MaxHeld: -1}), make(chan struct{})
		for range 1000 {
			invalidates(t, b, taken, "a")
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(edge.taken); n < 4 || n > 11 {
			t.Errorf("sent %d times in 10 s, want once in one to two seconds", n)
		}
		if got := owes(t, b); !strings.HasPrefix(got, "2 ") && !strings.HasPrefix(got, "1 ") {
			t.Errorf("owed: %s", got)
		}
	})
}

// What is held is kept as all that is owed. Who takes it over, or is begun next, holds it again: the
// process that sends the journal what was spooled may not have begun.
func TestHeldAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		edge := &fakeTarget{name: "edge"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend})
		synctest.Wait()
		invalidates(t, b, make(chan struct{}), "a")
		time.Sleep(time.Second)
		began := time.Now()
		owed, ok := errors.AsType[*cdn.OwedError](b.Close(t.Context()))
		if !ok || !errors.Is(owed, middleware.ErrUnsent) || time.Since(began) > time.Second {
			t.Errorf("Close returned %v after %v", owed, time.Since(began))
		}
		next := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend})
		if time.Sleep(9 * time.Second); edge.has() != "" {
			t.Errorf("sent %q at once", edge.has())
		}
		if time.Sleep(2 * time.Second); edge.has() != "a" || owes(t, next) != "" {
			t.Errorf("sent %q, owed %q", edge.has(), owes(t, next))
		}
		if len(records(t, backend)) > 0 {
			t.Errorf("the store keeps %q", records(t, backend))
		}
	})
}

// Without a store what is held at the end is sent, rather than lost; and so is what the journal takes
// at the last moment.
func TestHeldAtTheEnd(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			backend := memstore.NewBackend(64 << 20)
			defer backend.Close()
			edge := &fakeTarget{name: "edge"}
			o := cdn.Options{Targets: []cdn.Target{edge}}
			if late {
				o.Store = backend
			}
			b, taken := open(t, o), make(chan struct{})
			synctest.Wait()
			invalidates(t, b, taken, "a")
			if late {
				close(taken)
			}
			if err := b.Close(t.Context()); err != nil || edge.has() != "a" {
				t.Errorf("sent %q, error %v", edge.has(), err)
			}
		})
	}
}

// Too much that is held becomes one purge of everything, held as well. What is not held stays as it is.
func TestMuchIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		edge := &fakeTarget{name: "edge"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend, MaxOwed: 100,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		taken := make(chan struct{})
		for i := range 300 {
			invalidates(t, b, taken, fmt.Sprint("held-", i))
		}
		purge(t, b, tags("b"))
		if time.Sleep(5 * time.Second); edge.has() != "b" {
			t.Errorf("sent %q", edge.has())
		}
		if n := len(records(t, backend)); n > 2 {
			t.Errorf("the store holds %d records", n)
		}
		close(taken)
		if time.Sleep(2 * time.Second); edge.has() != "b | ALL" || owes(t, b) != "" {
			t.Errorf("sent %q, owed %q", edge.has(), owes(t, b))
		}
		if n := strings.Count(log.String(), "Options.MaxOwed"); n != 1 {
			t.Errorf("the log has it %d times:\n%s", n, &log)
		}
		if synctest.Wait(); len(records(t, backend)) > 0 {
			t.Errorf("the store keeps %q", records(t, backend))
		}
	})
}
