package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/watch"
)

func tag(name string) store.Mark { return store.Mark{Kind: store.MarkTag, Name: name} }

func newJournal(t *testing.T, b *Backend) (*journal, uint64) {
	t.Helper()
	j := b.Journal(rand.Text() + ":").(*journal)
	begin, err := j.Append(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return j, begin
}

func add(t *testing.T, j store.Journal, names ...string) uint64 {
	t.Helper()
	var marks []store.Mark
	for _, name := range names {
		marks = append(marks, tag(name))
	}
	n, err := j.Append(t.Context(), marks...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// told is what Since says, in short: names, ALL for everything.
func told(t *testing.T, j store.Journal, number uint64) (names []string, head uint64) {
	t.Helper()
	marks, head, err := invalidation.Since(t.Context(), j, number)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		if m.Kind == store.MarkEverything && !m.Soft {
			m.Name = "ALL"
		}
		names = append(names, m.Name)
	}
	if len(marks) > 0 && marks[len(marks)-1].Number != head {
		t.Errorf("Since(%d): the last number is %d, the head %d", number,
			marks[len(marks)-1].Number, head)
	}
	return names, head
}

func wantTold(t *testing.T, j store.Journal, number uint64, want ...string) {
	t.Helper()
	if got, _ := told(t, j, number); !slices.Equal(got, want) {
		t.Errorf("Since(%d) tells %q, want %q", number, got, want)
	}
}

func TestJournalForgets(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	for story, bound := range map[string]func(*journal){
		"marks": func(j *journal) { j.marks = 2000 },
		"bytes": func(j *journal) { j.bytes = 2000 * 7 },
	} {
		j, begin := newJournal(t, b)
		bound(j)
		numbers := []uint64{begin}
		for i := range 60 {
			var names []string
			for k := range 100 {
				names = append(names, fmt.Sprintf("name%03d", (i*100+k)%1000))
			}
			last := add(t, j, names...)
			for k := range names {
				numbers = append(numbers, last-uint64(len(names)-1-k))
			}
		}
		var kept, marks, bytes int
		err := b.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM freshet_cache_journal WHERE prefix = $1), marks, bytes
			FROM freshet_cache_journal_head WHERE prefix = $1`, j.prefix).Scan(&kept, &marks, &bytes)
		if err != nil || kept != marks || bytes != 7*marks || marks > 2000 || marks < 1000 {
			t.Errorf("%s: %d kept; %d marks and %d bytes counted, %v; want up to 2000, and the "+
				"counts right", story, kept, marks, bytes, err)
		}
		for _, at := range []int{0, 1, 3000, len(numbers) - 1 - marks - 1} {
			got, _ := told(t, j, numbers[at])
			if len(got) != marks+1 || got[0] != "ALL" {
				t.Errorf("%s: Since(number %d of %d) tells %d marks, first %q; want ALL and the "+
					"%d kept", story, at, len(numbers), len(got), got[0], marks)
			}
		}
		for _, n := range []int{marks, 5, 1, 0} {
			if got, _ := told(t, j, numbers[len(numbers)-1-n]); len(got) != n || n > 0 &&
				got[0] == "ALL" {
				t.Errorf("%s: Since of %d marks before the head tells %d", story, n, len(got))
			}
		}
	}
}

func TestGreatAppendIsForgottenInBatches(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	j, begin := newJournal(t, b)
	j.marks = 100
	names := make([]string, 5000)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	if last := add(t, j, names...); last < begin+5000 {
		t.Errorf("number %d after %d", last, begin)
	}
	wantTold(t, j, begin, "ALL") // all 5000 went in batches of 1000, the last included
	add(t, j, "next")
	if got, _ := told(t, j, begin); len(got) != 2 || got[1] != "next" {
		t.Errorf("afterwards: %q", got)
	}
}

// Whatever the journal has lost, its answer is that everything is invalidated, and never nothing.
func TestJournalLosses(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0")
	for story, lose := range map[string]string{
		"a mark in the middle": "DELETE FROM freshet_cache_journal WHERE prefix = $1 AND name = " +
			"'two'",
		"the first mark": "DELETE FROM freshet_cache_journal WHERE prefix = $1 AND name = 'one'",
		"the last mark":  "DELETE FROM freshet_cache_journal WHERE prefix = $1 AND name = 'three'",
		"all marks":      "DELETE FROM freshet_cache_journal WHERE prefix = $1",
		"the head":       "DELETE FROM freshet_cache_journal_head WHERE prefix = $1",
	} {
		t.Run(story, func(t *testing.T) {
			j, begin := newJournal(t, b)
			add(t, j, "one")
			middle := add(t, j, "two")
			last := add(t, j, "three")
			wantTold(t, j, begin, "one", "two", "three")
			admin(t, url, lose, j.prefix)
			if got, _ := told(t, j, begin); len(got) == 0 || got[0] != "ALL" {
				t.Errorf("told %q, want ALL first", got)
			}
			// What is appended then has greater numbers than all before.
			next := add(t, j, "four")
			if next <= last {
				t.Errorf("number %d after %d", next, last)
			}
			if got, _ := told(t, j, begin); len(got) == 0 || got[0] != "ALL" {
				t.Errorf("after another mark: told %q, want ALL first", got)
			}
			if story == "the head" {
				if got, _ := told(t, j, last); len(got) == 0 || got[0] != "ALL" {
					t.Errorf("who knew of all marks is told %q, want ALL first", got)
				}
				return
			}
			wantTold(t, j, last, "four")
			if story == "the first mark" {
				wantTold(t, j, middle, "three", "four")
			}
		})
	}
}

// A standby that takes over may lack the newest marks. It gives their numbers to no others.
func TestNumbersAreNotGivenAgain(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0")
	j, begin := newJournal(t, b)
	add(t, j, "kept")
	kept := add(t, j)
	lost := add(t, j, "lost", "lost", "lost")
	admin(t, url, "DELETE FROM freshet_cache_journal WHERE prefix = $1 AND number > $2", j.prefix,
		int64(kept))
	admin(t, url, "UPDATE freshet_cache_journal_head SET head = $2, marks = 1 WHERE prefix = $1",
		j.prefix, int64(kept))
	if _, head := told(t, j, lost); head != kept {
		t.Errorf("head %d, want %d: below what was given out, as a sign", head, kept)
	}
	if next := add(t, j, "next"); next <= lost {
		t.Errorf("number %d after %d", next, lost)
	}
	wantTold(t, j, begin, "kept", "next")
	// who knows of marks that are lost has the journal begin anew: there may be more of them
	wantTold(t, j, lost, "ALL")
}

func TestWatchIsPushed(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	j, begin := newJournal(t, b)
	seen := make(chan string)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(seen)
		for n, err := range j.Watch(ctx, begin) {
			if err != nil {
				t.Error(err)
			}
			seen <- n.Name
		}
	}()
	add(t, j, "first")
	<-seen
	var quickest time.Duration = time.Hour
	for i := range 10 {
		start := time.Now()
		add(t, j, fmt.Sprint(i))
		if got := <-seen; got != fmt.Sprint(i) {
			t.Errorf("heard of %q, want %d", got, i)
		}
		quickest = min(quickest, time.Since(start))
	}
	if quickest > watch.Anyway/4 {
		t.Errorf("a mark took %v at least: nobody was told", quickest)
	}
	cancel()
	for range seen {
	}
}

func TestWatchWhenTheConnectionIsLost(t *testing.T) {
	url, p := through(t, database(t))
	b := open(t, url+"&sweep=0")
	j, begin := newJournal(t, b)
	for story, lose := range map[string]func(){"dropped": p.Drop, "refused": p.Refuse} {
		watching := make(chan struct{}, 10)
		ended := make(chan []error)
		go func() {
			var errs []error
			for _, err := range j.Watch(t.Context(), begin) {
				if err != nil {
					errs = append(errs, err)
					continue
				}
				watching <- struct{}{}
			}
			ended <- errs
		}()
		n := add(t, j, story)
		<-watching
		begin = n
		lose()
		errs := <-ended
		if len(errs) != 1 {
			t.Fatalf("%s: errors %v, want one", story, errs)
		}
		wantKind(t, errs[0], store.KindTransient)
		p.Pass()
		// Connections of the pool were lost as well.
		eventually(t, "the journal answers again", func() bool {
			_, err := j.Append(t.Context())
			return err == nil
		})
	}
}

func TestWatchEndsWithTheBackend(t *testing.T) {
	b := open(t, database(t))
	j, begin := newJournal(t, b)
	ended := make(chan error, 2)
	watching := make(chan struct{}, 1)
	go func() {
		for _, err := range j.Watch(context.Background(), begin) {
			if err != nil {
				ended <- err
			}
			watching <- struct{}{}
		}
		close(ended)
	}()
	add(t, j, "mark")
	<-watching
	b.Close()
	if err := <-ended; !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Watch ended with %v", err)
	}
}

func TestWatchAcrossARestart(t *testing.T) {
	server := testserver.Postgres(t)
	b := open(t, server.URL+"&sweep=0")
	j, begin := newJournal(t, b)
	last := add(t, j, "before")
	server.Kill()
	_, _, err := j.Since(t.Context(), last)
	wantKind(t, err, store.KindTransient)
	server.Start()
	wantTold(t, j, begin, "before")
	if n := add(t, j, "after"); n <= last {
		t.Errorf("number %d after %d", n, last)
	}
	wantTold(t, j, last, "after")
}

func TestJournalRefusesItsPrefix(t *testing.T) {
	b := open(t, database(t))
	for _, prefix := range []string{"a b", "~", string(make([]byte, 201))} {
		j := b.Journal(prefix)
		wantKind(t, second(j.Append(t.Context(), tag("x"))), store.KindPermanent)
		_, _, err := j.Since(t.Context(), 0)
		wantKind(t, err, store.KindPermanent)
		for _, err := range j.Watch(t.Context(), 0) {
			wantKind(t, err, store.KindPermanent)
		}
	}
}
