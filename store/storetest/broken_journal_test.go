package storetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// bentJournal is a Journal with some methods bent out of shape.
type bentJournal struct {
	store.Journal
	append func(j store.Journal, what []store.Mark) (uint64, error)
	since  func(j store.Journal, number uint64) ([]store.Numbered, uint64, error)
	watch  func(ctx context.Context, j store.Journal, from uint64) iter.Seq2[store.Numbered, error]
}

func (b bentJournal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if b.append != nil {
		return b.append(b.Journal, what)
	}
	return b.Journal.Append(ctx, what...)
}

func (b bentJournal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	if b.since != nil {
		return b.since(b.Journal, number)
	}
	return b.Journal.Since(ctx, number)
}

func (b bentJournal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	if b.watch != nil {
		return b.watch(ctx, b.Journal, from)
	}
	return b.Journal.Watch(ctx, from)
}

func TestJournalRulesFindFaults(t *testing.T) {
	const barrier = "a barrier has its number and its place among the marks, with a name or without"
	const inParts = "marks that are returned in parts are all of them, in order, and each part has " +
		"the head"
	bg := context.Background()
	faults := finder[store.Journal]{rules: journalRules}
	for _, tt := range []struct {
		fault string
		bent  bentJournal
		rule  string
	}{
		{"not new", bentJournal{since: func(j store.Journal, n uint64) ([]store.Numbered, uint64,
			error) {
			_, head, err := j.Since(bg, n)
			return []store.Numbered{{Mark: store.Mark{Name: "x"}, Number: 1}}, head, err
		}}, "a new journal has no marks"},
		{"one number for all", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64,
			error) {
			n, err := j.Append(bg, what...)
			return n - uint64(max(len(what)-1, 0)), err
		}}, "each mark has a number of its own, greater than all before"},
		{"softness is lost", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64,
			error) {
			hard := append([]store.Mark(nil), what...)
			for i := range hard {
				hard[i].Soft = false
			}
			return j.Append(bg, hard...)
		}}, "each mark has a number of its own, greater than all before"},
		{"asking counts", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64,
			error) {
			if len(what) == 0 {
				what = []store.Mark{{Name: "nothing"}}
			}
			return j.Append(bg, what...)
		}}, "Append of nothing returns the head and changes nothing"},
		{"Since includes the number", bentJournal{since: func(j store.Journal,
			n uint64) ([]store.Numbered, uint64, error) {
			return j.Since(bg, max(n, 1)-1)
		}}, "Since returns exactly the marks after a number"},
		{"a part has its own head", bentJournal{since: func(j store.Journal, n uint64) (
			[]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			if len(marks) > 100 {
				marks = marks[:100]
				head = marks[99].Number
			}
			return marks, head, err
		}}, inParts},
		{"the last part comes first", bentJournal{since: func(j store.Journal, n uint64) (
			[]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			return marks[max(len(marks)-100, 0):], head, err
		}}, inParts},
		{"a part has no marks", bentJournal{since: func(j store.Journal, n uint64) (
			[]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			if len(marks) > 100 {
				marks = nil
			}
			return marks, head, err
		}}, inParts},
		{"the part that follows begins one too late", bentJournal{since: func(j store.Journal,
			n uint64) ([]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			if len(marks) == 100 {
				marks = marks[1:]
			}
			return marks[:min(len(marks), 100)], head, err
		}}, inParts},
		{"only the first part is watched", bentJournal{watch: func(ctx context.Context,
			j store.Journal, from uint64) iter.Seq2[store.Numbered, error] {
			return func(yield func(store.Numbered, error) bool) {
				for ctx.Err() == nil {
					marks, head, _ := j.Since(ctx, from)
					for _, m := range marks[:min(len(marks), 100)] {
						if !yield(m, nil) {
							return
						}
					}
					from = head
					time.Sleep(time.Millisecond)
				}
			}
		}}, inParts},
		{"an empty name is everything", bentJournal{append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			what = append([]store.Mark(nil), what...)
			for i := range what {
				if what[i].Name == "" {
					what[i] = store.Mark{Kind: store.MarkEverything}
				}
			}
			return j.Append(bg, what...)
		}}, "a mark that names nothing is refused"},
		{"everything is a beginning", bentJournal{since: func(j store.Journal, n uint64) (
			[]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			for i := range marks {
				if marks[i].Name == "17" {
					marks[i].After = 17
				}
			}
			return marks, head, err
		}}, "no mark that was appended is a beginning"},
		{"a barrier is not recorded", bentJournal{append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			what = slices.DeleteFunc(slices.Clone(what), func(m store.Mark) bool {
				return m.Kind == store.MarkBarrier
			})
			return j.Append(bg, what...)
		}}, barrier},
		{"a barrier is everything", bentJournal{since: func(j store.Journal, n uint64) (
			[]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			for i := range marks {
				if marks[i].Kind == store.MarkBarrier {
					marks[i].Mark = store.Mark{Kind: store.MarkEverything}
				}
			}
			return marks, head, err
		}}, barrier},
		{"a barrier comes before what it is for", bentJournal{append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			what = slices.Clone(what)
			slices.SortStableFunc(what, func(a, b store.Mark) int {
				return int(b.Kind) - int(a.Kind)
			})
			return j.Append(bg, what...)
		}}, barrier},
		{"a barrier is not watched", bentJournal{watch: func(ctx context.Context, j store.Journal,
			from uint64) iter.Seq2[store.Numbered, error] {
			return func(yield func(store.Numbered, error) bool) {
				for m, err := range j.Watch(ctx, from) {
					if m.Kind != store.MarkBarrier && !yield(m, err) {
						return
					}
				}
			}
		}}, barrier},
		{"a barrier needs a name", bentJournal{append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			if len(what) > 0 && what[0].Name == "" && what[0].Kind == store.MarkBarrier {
				return 0, errors.New("no name")
			}
			return j.Append(bg, what...)
		}}, barrier},
		{"names end at NUL", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64,
			error) {
			what = append([]store.Mark(nil), what...)
			for i := range what {
				what[i].Name, _, _ = strings.Cut(what[i].Name, "\x00")
			}
			return j.Append(bg, what...)
		}}, "names of any content come back as they are"},
		{"one of many is lost", bentJournal{append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			if len(what) > 0 && what[0].Name == "3/33" {
				return j.Append(bg)
			}
			return j.Append(bg, what...)
		}}, "concurrent appends get different numbers, and none is lost"},
		{"only what comes is watched", bentJournal{watch: func(ctx context.Context, j store.Journal,
			from uint64) iter.Seq2[store.Numbered, error] {
			head, _ := j.Append(ctx)
			return j.Watch(ctx, head)
		}}, "Watch yields what was, then what comes, each once and in order"},
		{"only what was is watched", bentJournal{watch: func(ctx context.Context, j store.Journal,
			from uint64) iter.Seq2[store.Numbered, error] {
			return func(yield func(store.Numbered, error) bool) {
				marks, _, _ := j.Since(ctx, from)
				for _, m := range marks {
					if !yield(m, nil) {
						return
					}
				}
				<-ctx.Done()
			}
		}}, "Watch yields what was, then what comes, each once and in order"},
		{"the watch is endless", bentJournal{watch: func(_ context.Context, j store.Journal,
			from uint64) iter.Seq2[store.Numbered, error] {
			return func(func(store.Numbered, error) bool) { time.Sleep(24 * time.Hour) }
		}}, "Watch ends when its context does, whether it has begun to wait or not"},
		{"above the head is an error", bentJournal{since: func(j store.Journal,
			n uint64) ([]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			if n > head {
				err = errors.New("no such number")
			}
			return marks, head, err
		}}, "a number above the head gets no marks, and the head"},
		{"above the head is the head", bentJournal{since: func(j store.Journal,
			n uint64) ([]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			return marks, max(n, head), err
		}}, "a number above the head gets no marks, and the head"},
		{"another's number among many", bentJournal{append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			if len(what) < 100 {
				return j.Append(bg, what...)
			}
			j.Append(bg, what[:50]...)
			j.Append(bg, what[0])
			return j.Append(bg, what[50:]...)
		}},
			"the marks of one Append come in the order given, with numbers that follow one another"},
		{"only a hundred at once", bentJournal{append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			return j.Append(bg, what[:min(len(what), 100)]...)
		}},
			"the marks of one Append come in the order given, with numbers that follow one another"},
		{"the beginning is not watched", bentJournal{watch: func(ctx context.Context,
			j store.Journal, from uint64) iter.Seq2[store.Numbered, error] {
			return j.Watch(ctx, max(from, 1000))
		}}, "Watch from 0 begins as Since(0) does"},
		{"what comes while others are read is lost", bentJournal{watch: func(ctx context.Context,
			j store.Journal, from uint64) iter.Seq2[store.Numbered, error] {
			return func(yield func(store.Numbered, error) bool) {
				for ctx.Err() == nil {
					marks, _, _ := j.Since(ctx, from)
					for _, m := range marks {
						if !yield(m, nil) {
							return
						}
					}
					time.Sleep(time.Millisecond)
					from, _ = j.Append(ctx)
				}
			}
		}}, "every watcher hears of every mark, whichever process appends meanwhile"},
		{"marks are watched twice", bentJournal{watch: func(ctx context.Context, j store.Journal,
			from uint64) iter.Seq2[store.Numbered, error] {
			return func(yield func(store.Numbered, error) bool) {
				for m, err := range j.Watch(ctx, from) {
					if !yield(m, err) || !yield(m, err) {
						return
					}
				}
			}
		}}, "every watcher hears of every mark, whichever process appends meanwhile"},
		{"the watch that waits is endless", bentJournal{watch: func(ctx context.Context,
			j store.Journal, from uint64) iter.Seq2[store.Numbered, error] {
			return func(func(store.Numbered, error) bool) {
				time.Sleep(time.Millisecond)
				if ctx.Err() == nil {
					time.Sleep(24 * time.Hour)
				}
			}
		}}, "Watch ends when its context does, whether it has begun to wait or not"},
		{"numbers come low", bentJournal{since: func(j store.Journal, n uint64) ([]store.Numbered,
			uint64, error) {
			marks, head, err := j.Since(bg, n)
			for i := range marks {
				marks[i].Number = 0
			}
			return marks, head, err
		}}, "a replica fed by the journal covers what was invalidated, and nothing else"},
	} {
		faults.add(tt.fault, tt.rule, func() store.Journal {
			j := tt.bent
			j.Journal = memjournal.NewAfter(1000)
			return j
		})
	}
	faults.run(t)
}
