package memjournal

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// A node that was away for longer than the journal remembers must throw away what it has, and no
// more.
func TestJournalForgets(t *testing.T) {
	for _, tt := range []struct {
		story            string
		maxMarks, maxLen int
		name             string
	}{
		{"too many marks", 100, 1 << 20, ""},
		{"too long names", 100, 1000, strings.Repeat("x", 50)},
		{"a name too long for all", 100, 10, strings.Repeat("x", 50)},
		{"one mark", 1, 1 << 20, ""},
	} {
		t.Run(tt.story, func(t *testing.T) {
			j := New()
			j.maxMarks, j.maxBytes = tt.maxMarks, tt.maxLen
			name := func(i int) string { return fmt.Sprint("page ", i, tt.name) }
			const last = 1000
			for i := 1; i <= last; i++ {
				n, err := j.Append(t.Context(), store.Mark{Name: name(i)})
				if err != nil || n != uint64(i) {
					t.Fatalf("Append %d: %d, %v", i, n, err)
				}
				bytes := 0
				for _, m := range j.marks {
					bytes += len(m.Name)
				}
				if len(j.marks) > tt.maxMarks || bytes > tt.maxLen || bytes != j.bytes {
					t.Fatalf("remembers %d marks and %d bytes, counts %d", len(j.marks), bytes,
						j.bytes)
				}
			}
			for _, from := range []uint64{0, 1, 500, 900, 980, 998, 999, 1000} {
				marks, head, err := j.Since(t.Context(), from)
				if err != nil || head != last {
					t.Fatalf("Since(%d): head %d, %v", from, head, err)
				}
				r := invalidation.NewReplica(0)
				for _, m := range marks {
					if m.Number <= from {
						t.Errorf("Since(%d) has number %d", from, m.Number)
					}
					r.Apply(m)
				}
				for i := from + 1; i <= last; i++ {
					if c := r.Covers(&store.Entry{Key: name(int(i)), Number: i - 1}); c != invalidation.CoverageHard {
						t.Fatalf("a node that knew %d and caught up has missed mark %d", from, i)
					}
				}
				if c := r.Covers(&store.Entry{Key: name(last), Number: last}); c == invalidation.CoverageHard {
					t.Errorf("a node that knew %d covers what was filled last", from)
				}
			}
		})
	}
}

// It remembers as much as it may, and then forgets a quarter at once: one mark at a time would copy
// all the others for each.
func TestJournalForgetsAQuarter(t *testing.T) {
	for story, limit := range map[string]func(*Journal){
		"marks":          func(j *Journal) { j.maxMarks = 100 },
		"bytes of names": func(j *Journal) { j.maxBytes = 1000 },
	} {
		j := New()
		limit(j)
		for i := range 100 {
			j.Append(t.Context(), store.Mark{Name: fmt.Sprintf("page %05d", i)}) // 10 bytes
		}
		if marks, _, _ := j.Since(t.Context(), 0); len(marks) != 100 || marks[0].Kind != store.MarkKey {
			t.Errorf("%s: at the limit it has %d marks, the first %+v; want all 100", story,
				len(marks), marks[0])
		}
		j.Append(t.Context(), store.Mark{Name: "page 00100"})
		marks, _, _ := j.Since(t.Context(), 0)
		forgotten := store.Numbered{Mark: store.Mark{Kind: store.MarkEverything}, Number: 26}
		if len(marks) != 76 || marks[0] != forgotten {
			t.Errorf("%s: one more, and it has %d, the first %+v; want Everything as 26, and 75",
				story, len(marks), marks[0])
		}
	}
}

// An Append without marks wakes no watcher.
func TestJournalAppendsNothing(t *testing.T) {
	j := NewAfter(7)
	_, _, changed := j.since(7)
	if head, err := j.Append(t.Context()); head != 7 || err != nil {
		t.Errorf("%d, %v; want the head, 7", head, err)
	}
	select {
	case <-changed:
		t.Error("watchers were woken")
	default:
	}
}

func TestJournalWatcherFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New()
		j.maxMarks = 10
		ctx, cancel := context.WithCancel(t.Context())
		r := invalidation.NewReplica(0)
		proceed := make(chan bool)
		done := make(chan bool)
		go func() {
			defer close(done)
			for m, err := range j.Watch(ctx, 0) {
				if err != nil {
					t.Error(err)
				}
				r.Apply(m)
				<-proceed
			}
		}()
		for i := range 100 {
			j.Append(ctx, store.Mark{Name: fmt.Sprint("page ", i)})
			synctest.Wait() // it holds the first and sees no more
		}
		close(proceed)
		synctest.Wait()
		for i := range 100 {
			if c := r.Covers(&store.Entry{Key: fmt.Sprint("page ", i), Number: uint64(i)}); c != invalidation.CoverageHard {
				t.Errorf("missed mark %d", i+1)
			}
		}
		if r.Head() != 100 {
			t.Errorf("head %d, want 100", r.Head())
		}
		cancel()
		<-done
	})
}

func TestJournalRecordsAllOrNothing(t *testing.T) {
	j := New()
	if _, err := j.Append(t.Context(), store.Mark{Name: "page"}, store.Mark{Kind: store.MarkTag}); err == nil {
		t.Fatal("a tag without a name was taken")
	}
	if marks, head, _ := j.Since(t.Context(), 0); len(marks) != 0 || head != 0 {
		t.Errorf("recorded %v of a refused Append", marks)
	}
}
