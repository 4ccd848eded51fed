package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

func TestJournalerRulesFindFaults(t *testing.T) {
	const (
		clock    = "numbers are not below the clock, in microseconds"
		before   = "a new journal says that it has forgotten what was before"
		together = "those who begin at once agree on one beginning"
		shared   = "two calls with one prefix see each other's marks"
		watched  = "a watcher hears of what others append"
		two      = "journals of two prefixes are two"
		named    = "the name of a journal is its own, and always the same"
		prefixes = "a journal's prefix may be empty, or as long as a Store's"
		many     = "the last 10,000 marks are remembered"
		values   = "a journal and values of its prefix know nothing of each other"
	)
	bg := context.Background()
	var faults abilityFaults[store.Journaler]
	faults.rules = journalerRules
	bend := func(name, rule string, journal func(*fullBackend, string) store.Journal) {
		faults.bend(name, rule, func() bentFull { return bentFull{journal: journal} })
	}
	// private gives a new journal to each who asks.
	private := func(number func(asked uint64) uint64) func() bentFull {
		return func() bentFull {
			asked := uint64(0)
			now := uint64(time.Now().UnixMicro())
			return bentFull{journal: func(f *fullBackend, prefix string) store.Journal {
				f.mu.Lock()
				defer f.mu.Unlock()
				asked++
				return memjournal.NewAfter(now + number(asked))
			}}
		}
	}
	// bent bends the journals.
	bent := func(b bentJournal) func(*fullBackend, string) store.Journal {
		return func(f *fullBackend, prefix string) store.Journal {
			j := b
			j.Journal = f.Journal(prefix)
			return j
		}
	}
	faults.bend("numbers begin at 1", clock, func() bentFull {
		j := memjournal.New()
		return bentFull{journal: func(*fullBackend, string) store.Journal { return j }}
	})
	faults.bend("numbers begin at the clock in milliseconds", clock, func() bentFull {
		j := memjournal.NewAfter(uint64(time.Now().UnixMilli()))
		return bentFull{journal: func(*fullBackend, string) store.Journal { return j }}
	})
	names := 0
	for what, name := range map[string]func(prefix string) string{
		"an empty name": func(string) string { return "" },
		"a long name":   func(prefix string) string { return prefix + strings.Repeat("x", 1<<10) },
		"a common name": func(string) string { return "journal" },
		"a new name":    func(prefix string) string { names++; return fmt.Sprint(prefix, names) },
	} {
		bend(what, named, func(f *fullBackend, prefix string) store.Journal {
			return namedJournal{f.Journal(prefix), func() string { return name(prefix) }}
		})
	}
	bend("nothing was before", before, bent(bentJournal{since: func(j store.Journal,
		n uint64) ([]store.Numbered, uint64, error) {
		marks, head, err := j.Since(bg, n)
		if len(marks) > 0 && marks[0].Kind == store.MarkEverything {
			marks = marks[1:]
		}
		return marks, head, err
	}}))
	bend("a watcher is not told", before,
		bent(bentJournal{watch: func(ctx context.Context, j store.Journal,
			from uint64) iter.Seq2[store.Numbered, error] {
			head, _ := j.Append(bg)
			return j.Watch(ctx, max(from, head))
		}}))
	bend("a mark that is known comes again", before,
		bent(bentJournal{since: func(j store.Journal, n uint64) ([]store.Numbered, uint64, error) {
			return j.Since(bg, n-1)
		}}))
	faults.bend("each begins for itself", together, private(func(asked uint64) uint64 {
		return asked
	}))
	faults.bend("each has its own", shared, private(func(uint64) uint64 { return 0 }))
	bend("watchers wait in vain", watched,
		bent(bentJournal{watch: func(ctx context.Context, _ store.Journal,
			_ uint64) iter.Seq2[store.Numbered, error] {
			return func(func(store.Numbered, error) bool) { <-ctx.Done() }
		}}))
	bend("one for all", two, func(f *fullBackend, _ string) store.Journal { return f.Journal("") })
	bend("prefixes are cut", two, func(f *fullBackend, prefix string) store.Journal {
		return f.Journal(prefix[:min(19, len(prefix))])
	})
	bend("a long prefix is too long", prefixes, func(f *fullBackend, prefix string) store.Journal {
		return bentJournal{Journal: f.Journal(prefix), append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			if len(prefix) > 100 {
				return 0, errors.New("key too long")
			}
			return j.Append(bg, what...)
		}}
	})
	bend("a hundred are remembered", many,
		bent(bentJournal{since: func(j store.Journal, n uint64) ([]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			if len(marks) > 100 {
				marks = append([]store.Numbered{{Mark: store.Mark{Kind: store.MarkEverything},
					Number: head - 100}}, marks[len(marks)-100:]...)
			}
			return marks, head, err
		}}))
	bend("the head is a value", values, func(f *fullBackend, prefix string) store.Journal {
		return bentJournal{Journal: f.Journal(prefix), append: func(j store.Journal,
			what []store.Mark) (uint64, error) {
			f.Set(bg, prefix+"head", []byte("12"), time.Hour)
			return j.Append(bg, what...)
		}}
	})
	bend("a value is the head", values, func(f *fullBackend, prefix string) store.Journal {
		return bentJournal{Journal: f.Journal(prefix), since: func(j store.Journal,
			n uint64) ([]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			if found, _ := f.Exists(bg, prefix+"head"); found {
				marks, head = nil, 1
			}
			return marks, head, err
		}}
	})
	faults.run(t)
}

// namedJournal has a name.
type namedJournal struct {
	store.Journal
	name func() string
}

func (j namedJournal) JournalName() string { return j.name() }
