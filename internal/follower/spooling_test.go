package follower

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/spool"
	"github.com/freshet-go/freshet/store"
)

// spooling returns a follower of j with a spool in folder, and what ends it: as a process that is
// killed would, if its journal fails then.
func spooling(t *testing.T, j store.Journal, folder string, log slog.Handler) (*Follower, func()) {
	t.Helper()
	s, err := spool.Open(folder, "")
	if err != nil {
		t.Fatal(err)
	}
	f := New(Options{Journal: j, Timeout: time.Second, MaxLag: 5 * time.Second, Spool: s,
		Log: slog.New(log)})
	ctx, cancel := context.WithCancel(t.Context())
	f.Start(ctx)
	return f, func() { cancel(); f.Wait() }
}

// refuses has a journal take no marks, whatever else it answers.
func refuses(call string) error {
	if call == "append" {
		return errRefused
	}
	return nil
}

func spoolFiles(t *testing.T, folder string) []fs.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// What the journal did not take is on the disk when the call returns, and leaves it when the
// journal has it. A second invalidation of the same page writes nothing.
func TestUnsentIsSpooledUntilItIsSent(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "spool")
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(10)
		f, end := spooling(t, j, folder, slog.DiscardHandler)
		j.on(refuses)
		for range 2 {
			if _, err := f.Append(t.Context(), key("page")); !errors.Is(err, ErrUnsent) ||
				strings.Contains(err.Error(), "spooled") {
				t.Errorf("%v", err)
			}
			if n := len(spoolFiles(t, folder)); n != 1 {
				t.Fatalf("%d files hold it, want 1", n)
			}
		}
		j.on(func(string) error { return nil })
		time.Sleep(3 * time.Second)
		synctest.Wait()
		covers(t, f, "page", 10, invalidation.CoverageHard)
		covers(t, f, "page", f.Head(), invalidation.CoverageNone)
		end()
		if n := len(spoolFiles(t, folder)); n != 0 {
			t.Errorf("%d files are left", n)
		}
	})
}

// A process that ends before the journal answers leaves its marks to the next one, which holds them
// when it has started, and sends them first; one that runs takes them over within ten seconds.
func TestTheNextProcessSendsIt(t *testing.T) {
	for name, runs := range map[string]bool{"starts": false, "runs": true} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "spool")
			synctest.Test(t, func(t *testing.T) {
				cut, j := newJournal(10), newJournal(10)
				second, end := (*Follower)(nil), func() {}
				if runs {
					second, end = spooling(t, j, folder, slog.DiscardHandler)
				}
				cut.on(func(string) error { return errRefused })
				first, kill := spooling(t, cut, folder, slog.DiscardHandler)
				first.Append(t.Context(), key("page"))
				time.Sleep(15 * time.Second)
				synctest.Wait()
				if second != nil {
					covers(t, second, "page", 10, invalidation.CoverageNone) // the first one runs
				}
				kill()
				if runs {
					time.Sleep(adoptEvery + time.Second)
				} else {
					j.on(func(string) error { return errRefused })
					second, end = spooling(t, j, folder, slog.DiscardHandler)
					covers(t, second, "page", 1000, invalidation.CoverageHard)
					j.on(func(string) error { return nil })
					time.Sleep(3 * time.Second)
				}
				synctest.Wait()
				third := follow(j)
				third.catchUp(t.Context())
				covers(t, third, "page", 10, invalidation.CoverageHard)
				covers(t, third, "other", 10, invalidation.CoverageNone)
				end()
				if n := len(spoolFiles(t, folder)); n != 0 {
					t.Errorf("%d files are left", n)
				}
			})
		})
	}
}

// Where the disk takes nothing, the call says that the mark would be lost, and the log says it
// once. When the disk has room again, what is held is written.
func TestTheSpoolFails(t *testing.T) {
	base := t.TempDir()
	folder := filepath.Join(base, "spool")
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(10)
		w := &watched{}
		f, end := spooling(t, j, folder, slog.NewTextHandler(w, nil))
		j.on(refuses)
		if err := errors.Join(os.Remove(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			_, err := f.Append(t.Context(), key(name))
			if !errors.Is(err, ErrUnsent) || !strings.Contains(err.Error(), "lost if this process is "+
				"killed") || !strings.Contains(err.Error(), "is not a folder") {
				t.Errorf("%v; want ErrUnsent, and that it is not spooled", err)
			}
		}
		os.Remove(folder)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		w.logs(t, "out of touch", "cannot be written to the disk", "the disk has taken")
		end()
		next, err := spool.Open(folder, "")
		if err != nil {
			t.Fatal(err)
		}
		if marks, err := next.Adopt(); len(marks) != 2 || err != nil {
			t.Errorf("%v, %v are left; want both", marks, err)
		}
		next.Close()
	})
}

// Marks that come while others are sent are spooled anew when those are cleared.
func TestSpooledWhileOthersAreSent(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "spool")
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(10)
		f, end := spooling(t, j, folder, slog.DiscardHandler)
		j.on(refuses)
		f.Append(t.Context(), key("a"))
		var comes bool
		j.on(func(call string) error {
			if call == "append" && !comes {
				comes = true
				f.unsent.hold(key("b"))
				f.spools(key("b"))
				return nil
			}
			return refuses(call)
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		end()
		next, err := spool.Open(folder, "")
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		marks, err := next.Adopt()
		if len(marks) != 2 || err != nil { // all go out again, which harms nobody
			t.Errorf("%v, %v are left; want both", marks, err)
		}
	})
}

// Takes asks the journal, and not what was known of it: one that answers and takes nothing is lost
// until it takes a mark again. Those who come at once share an answer.
func TestTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{}
		j := newJournal(10)
		f := followWithLog(j, slog.NewTextHandler(w, nil))
		ctx, cancel := context.WithCancel(t.Context())
		f.Start(ctx)
		synctest.Wait()
		if !f.Takes() || f.Head() != 11 {
			t.Errorf("takes nothing, or by no mark: the newest is %d", f.Head())
		}
		covers(t, f, "page", 10, invalidation.CoverageNone)
		j.on(refuses)
		if f.Lost(time.Now()) || f.Takes() || !f.Lost(time.Now()) {
			t.Error("takes what the journal refuses, or is not lost then")
		}
		for range 10 {
			time.Sleep(time.Second)
			synctest.Wait()
			if !f.Lost(time.Now()) || f.Takes() {
				t.Errorf("after %v it is not lost", f.time.at(time.Now()))
			}
		}
		j.on(func(string) error { return nil })
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if f.Lost(time.Now()) || !f.Takes() {
			t.Error("takes nothing when the journal does again")
		}
		before, answers := f.Head(), make(chan bool, 10)
		j.on(func(call string) error {
			if call == "append" {
				time.Sleep(time.Millisecond)
			}
			return nil
		})
		for range cap(answers) {
			go func() { answers <- f.Takes() }()
		}
		for range cap(answers) {
			if !<-answers {
				t.Error("takes nothing")
			}
		}
		if n := f.Head() - before; n > 2 {
			t.Errorf("%d marks for ten who came at once, want 2 at most", n)
		}
		cancel()
		f.Wait()
		w.logs(t, "out of touch", "in touch again")
	})
	if readOnly := New(Options{Journal: newJournal(1), ReadOnly: true}); readOnly.Takes() {
		t.Error("who may not write takes marks")
	}
	if !New(Options{}).Takes() {
		t.Error("without a journal nothing is taken")
	}
}

// few is a journal that takes no more marks at once than a server manages in the time of a call.
type few struct{ *journal }

func (j few) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if len(what) > sendMost {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return j.journal.Append(ctx, what...)
}

// However many marks were held, a journal that takes some at a time gets them all.
func TestManyThatWereHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(10)
		f := follow(few{j})
		ctx, cancel := context.WithCancel(t.Context())
		f.Start(ctx)
		j.on(refuses)
		for i := range 3*sendMost + 1 {
			f.Append(t.Context(), key(fmt.Sprint(i)))
		}
		j.on(func(string) error { return nil })
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := f.Status(time.Now()).Unsent; n != 0 || f.Head() != 10+3*sendMost+1 {
			t.Errorf("%d are unsent, and the newest number is %d", n, f.Head())
		}
		cancel()
		f.Wait()
	})
}
