package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// journalerRules are what a journal promises because others share it; runJournaler adds the rules
// of every journal.
var journalerRules = []rule[able[store.Journaler]]{{
	name: "numbers are not below the clock, in microseconds",
	why: "a server that has lost its journal begins anew above every number of before only if " +
		"each began at the clock",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		clock := uint64(time.Now().UnixMicro())
		j := b.can.Journal(newPrefix())
		head, err := beginning(ctx, j)
		if err != nil {
			return err
		}
		n, err := j.Append(ctx, store.Mark{Kind: store.MarkEverything})
		if err != nil || head < clock || n <= head {
			return fmt.Errorf("Since(0) of a new journal: head %d; the first mark: number %d, "+
				"%v; the clock was %d before", head, n, err, clock)
		}
		return nil
	},
}, {
	name: "a new journal says that it has forgotten what was before",
	why: "the holder of an older entry must learn that nobody knows what has been invalidated " +
		"since",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		for first, use := range map[string]func(store.Journal) error{
			"Since":  func(j store.Journal) error { _, _, err := j.Since(ctx, 1); return err },
			"Append": func(j store.Journal) error { _, err := j.Append(ctx); return err },
			"Append of a mark": func(j store.Journal) error {
				_, err := j.Append(ctx, store.Mark{Kind: store.MarkTag, Name: "tag"})
				return err
			},
			"Watch": func(j store.Journal) error { return watchFirst(ctx, j) },
		} {
			j := b.can.Journal(newPrefix())
			if err := use(j); err != nil {
				return fmt.Errorf("%s of a new journal: %w", first, err)
			}
			marks, head, err := invalidation.Since(ctx, j, 0)
			if err != nil || len(marks) == 0 ||
				marks[0].Mark != (store.Mark{Kind: store.MarkEverything}) ||
				marks[len(marks)-1].Number != head {
				return fmt.Errorf("after %s: Since(0) = %+v, head %d, %v; want a hard Everything "+
					"mark first, and the head's last", first, marks, head, err)
			}
			// A follower that knows of the beginning does not hear of it again.
			if err := since(ctx, j, marks[0].Number, marks[1:], head); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name:  "those who begin at once agree on one beginning",
	why:   "two processes start together; a number given out by one must mean the same to the other",
	check: beginTogether,
}, {
	name: "two calls with one prefix see each other's marks",
	why:  "that is what is shared",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		prefix := newPrefix()
		one, two := b.can.Journal(prefix), b.can.Journal(prefix)
		begin, all, err := appendAll(ctx, one)
		if err != nil {
			return err
		}
		if err := since(ctx, two, begin, all, all[len(all)-1].Number); err != nil {
			return fmt.Errorf("after Append through another: %w", err)
		}
		n, err := two.Append(ctx, store.Mark{Kind: store.MarkTag, Name: "tag"})
		if err != nil {
			return err
		}
		all = append(all, store.Numbered{Mark: store.Mark{Kind: store.MarkTag, Name: "tag"},
			Number: n})
		return since(ctx, one, begin, all, n)
	},
}, {
	name:  "a watcher hears of what others append",
	why:   "a node learns of another's purge by it",
	check: watchOthers,
}, {
	name: "journals of two prefixes are two",
	why: "one cache's purge must not empty another's, not even when one prefix begins with the " +
		"other",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		prefix := newPrefix()
		others := map[string]uint64{}
		for _, other := range []string{prefix + "a", prefix + "_", prefix + ":",
			prefix[:len(prefix)-1], "x" + prefix} {
			begin, err := beginning(ctx, b.can.Journal(other))
			if err != nil {
				return err
			}
			others[other] = begin
		}
		begin, all, err := appendAll(ctx, b.can.Journal(prefix))
		if err != nil {
			return err
		}
		for other, begin := range others {
			if err := since(ctx, b.can.Journal(other), begin, nil, begin); err != nil {
				return fmt.Errorf("journal %q, after marks in journal %q: %w", other, prefix, err)
			}
		}
		return since(ctx, b.can.Journal(prefix), begin, all, all[len(all)-1].Number)
	},
}, {
	name: "the name of a journal is its own, and always the same",
	why:  "what a process could not send is spooled under it, for the next one with that journal",
	check: func(_ context.Context, b able[store.Journaler], _ Options) error {
		prefix := newPrefix()
		name := func(prefix string) (string, bool) {
			j, ok := store.As[store.NamedJournal](b.can.Journal(prefix))
			if !ok {
				return "", false
			}
			return j.JournalName(), true
		}
		one, named := name(prefix)
		if !named {
			return nil
		}
		again, _ := name(prefix)
		other, _ := name(prefix + "a")
		if one == "" || len(one) > 1<<10 || one != again || one == other {
			return fmt.Errorf("the journal %q is called %.1100q, then %.1100q; the journal %q is "+
				"called %.1100q", prefix, one, again, prefix+"a", other)
		}
		return nil
	},
}, {
	name: "a journal's prefix may be empty, or as long as a Store's",
	why:  "a journal lies beside the entries of a Store and has its prefix",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		long := newPrefix()
		for len(long) < maxPrefix {
			long += "."
		}
		for _, prefix := range []string{"", long} {
			if _, err := b.can.Journal(prefix).Append(ctx, store.Mark{Kind: store.MarkTag,
				Name: "tag"}); err != nil {
				return fmt.Errorf("Append to the journal with a prefix of %d bytes: %w",
					len(prefix), err)
			}
		}
		return nil
	},
}, {
	name: "the last 10,000 marks are remembered",
	why:  "a node that was away for a while must not drop everything when it comes back",
	check: func(ctx context.Context, b able[store.Journaler], o Options) error {
		many := min(10_000, o.Keys)
		j := b.can.Journal(newPrefix())
		begin, err := beginning(ctx, j)
		if err != nil {
			return err
		}
		var want []store.Numbered
		for part := range slices.Chunk(make([]store.Mark, many), 1000) {
			for i := range part {
				part[i] = store.Mark{Kind: store.MarkKey,
					Name: fmt.Sprint("GET https://a.example/page/", len(want)+i)}
			}
			n, err := j.Append(ctx, part...)
			if err != nil {
				return err
			}
			for i, m := range part {
				want = append(want, store.Numbered{Mark: m, Number: n - uint64(len(part)-1-i)})
			}
		}
		return since(ctx, j, begin, want, want[len(want)-1].Number)
	},
}, {
	name: "a journal and values of its prefix know nothing of each other",
	why:  "a value may have any key; none may be taken for a record, or overwrite one",
	check: func(ctx context.Context, b able[store.Journaler], _ Options) error {
		prefix := newPrefix()
		keys := []string{prefix, prefix + "journal", prefix + "head", prefix + "1", "journal:" +
			prefix}
		for _, key := range keys {
			if err := setAndFind(ctx, b, key, []byte("of "+key)); err != nil {
				return err
			}
		}
		begin, all, err := appendAll(ctx, b.can.Journal(prefix))
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := find(ctx, b, key, []byte("of "+key)); err != nil {
				return fmt.Errorf("after Append: %w", err)
			}
			if _, err := b.Delete(ctx, key); err != nil {
				return err
			}
		}
		return since(ctx, b.can.Journal(prefix), begin, all, all[len(all)-1].Number)
	},
}}

// newPrefix returns a prefix that no journal has had: nothing removes a journal from a server that
// tests share.
func newPrefix() string { return "storetest-" + rand.Text()[:10] + ":" }

// runJournaler holds the backend's journals to the rules of every journal.
func runJournaler(t *testing.T, newBackend func(*testing.T) store.Backend, o Options) {
	t.Run("Journaler's journal", func(t *testing.T) {
		found := false
		within(t, o, func(t *testing.T) { _, found = store.As[store.Journaler](newBackend(t)) })
		if !found {
			t.Log("the backend is no store.Journaler")
			return
		}
		RunJournal(t, func(t *testing.T) store.Journal {
			j, _ := store.As[store.Journaler](newBackend(t))
			return j.Journal(newPrefix())
		}, o)
	})
}

// watchFirst begins to watch and ends when the first mark has come, which says when the journal
// began.
func watchFirst(ctx context.Context, j store.Journal) error {
	watching, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n, err := range j.Watch(watching, 0) {
		if err == nil && n.Mark != (store.Mark{Kind: store.MarkEverything}) {
			err = fmt.Errorf("yielded %+v first; want a hard Everything mark", n)
		}
		return err
	}
	return fmt.Errorf("yielded nothing in %v", patience)
}

func beginTogether(ctx context.Context, b able[store.Journaler], _ Options) error {
	const many = 8
	for range 5 {
		prefix := newPrefix()
		var all sync.WaitGroup
		heads, errs := make([]uint64, many), make([]error, many)
		for i := range many {
			all.Go(func() { heads[i], errs[i] = beginning(ctx, b.can.Journal(prefix)) })
		}
		all.Wait()
		for i := range many {
			if errs[i] != nil || heads[i] != heads[0] {
				return fmt.Errorf("heads %d, errors %v; want one head for all", heads, errs)
			}
		}
	}
	return nil
}

func watchOthers(ctx context.Context, b able[store.Journaler], _ Options) error {
	prefix := newPrefix()
	watcher, other := b.can.Journal(prefix), b.can.Journal(prefix)
	begin, err := beginning(ctx, watcher)
	if err != nil {
		return err
	}
	watching, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	seen := make(chan error, 10)
	go func() {
		i := 0
		for n, err := range watcher.Watch(watching, begin) {
			if want := fmt.Sprint("tag ", i); err == nil && (n.Kind != store.MarkTag || n.Name != want) {
				err = fmt.Errorf("yielded %+v; want the mark on %q", n, want)
			}
			seen <- err
			if i++; err != nil || i == cap(seen) {
				return
			}
		}
	}()
	for i := range cap(seen) {
		if _, err := other.Append(ctx, store.Mark{Kind: store.MarkTag, Name: fmt.Sprint("tag ",
			i)}); err != nil {
			return err
		}
		if i%2 == 1 { // two in a row, then wait
			if err := hear(seen); err != nil {
				return err
			}
			if err := hear(seen); err != nil {
				return err
			}
		}
	}
	return nil
}
