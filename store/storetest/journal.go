package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

var journalRules = []rule[store.Journal]{{
	name: "a new journal has no marks",
	why:  "a node that starts must not find invalidations that nobody made",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		head, err := j.Append(ctx)
		if err != nil {
			return fmt.Errorf("Append of nothing: %w", err)
		}
		return since(ctx, j, 0, nil, head)
	},
}, {
	name: "each mark has a number of its own, greater than all before",
	why:  "the one comparison, of a mark's number with an entry's fill, is what every purge rests on",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		all, err := appendAll(ctx, j)
		if err != nil {
			return err
		}
		return since(ctx, j, 0, all, all[len(all)-1].Number)
	},
}, {
	name: "Append of nothing returns the head and changes nothing",
	why:  "that is how to ask for the number",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		all, err := appendAll(ctx, j)
		if err != nil {
			return err
		}
		head := all[len(all)-1].Number
		for range 2 {
			if n, err := j.Append(ctx); n != head || err != nil {
				return fmt.Errorf("Append of nothing: %d, %v; want the head, %d", n, err, head)
			}
		}
		return since(ctx, j, 0, all, head)
	},
}, {
	name: "Since returns exactly the marks after a number",
	why:  "a node that catches up must neither miss a mark nor begin from the start each time",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		all, err := appendAll(ctx, j)
		if err != nil {
			return err
		}
		for i, m := range all {
			if err := since(ctx, j, m.Number, all[i+1:], all[len(all)-1].Number); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "a mark that names nothing is refused",
	why:  "an empty variable in a purge call must not pass for a purge, nor purge everything",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		for _, m := range []store.Mark{{Kind: store.Key}, {Kind: store.Tag}, {Kind: store.Prefix}, {Kind: 200, Name: "x"}} {
			if n, err := j.Append(ctx, m); err == nil {
				return fmt.Errorf("Append(%+v) = %d without an error", m, n)
			}
		}
		marks, _, err := j.Since(ctx, 0)
		if err != nil || len(marks) > 0 {
			return fmt.Errorf("recorded all the same: %v, %v", marks, err)
		}
		return nil
	},
}, {
	name: "names of any content come back as they are",
	why:  "they are compared with keys and tags byte by byte",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		var want []store.Numbered
		for _, name := range []string{" ", "a b", "a\x00b", "\xff", "a\r\nb", "ключ", "'; --", string(make([]byte, 10_000))} {
			m := store.Mark{Kind: store.Tag, Name: name}
			n, err := j.Append(ctx, m)
			if err != nil {
				return fmt.Errorf("Append of a tag named %.20q: %w", name, err)
			}
			want = append(want, store.Numbered{Mark: m, Number: n})
		}
		return since(ctx, j, 0, want, want[len(want)-1].Number)
	},
}, {
	name:  "concurrent appends get different numbers, and none is lost",
	why:   "two purges under one number, and a node that has seen the first believes that it has seen both",
	check: concurrentJournal,
}, {
	name:  "Watch yields what was, then what comes, each once and in order",
	why:   "a node follows the others by it; a mark left out is a page that stays",
	check: watchAll,
}, {
	name: "Watch ends when its context does",
	why:  "a node that stops must not leave a goroutine behind",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		watching, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			for n, err := range j.Watch(watching, 0) {
				if err == nil {
					err = fmt.Errorf("yielded %+v", n)
				}
				ended <- err
				return
			}
			ended <- nil
		}()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("after its context has ended: %w; want the end of the sequence and no error", err)
			}
			return nil
		case <-time.After(patience):
			return fmt.Errorf("not ended %v after its context", patience)
		}
	},
}, {
	name: "a replica fed by the journal covers what was invalidated, and nothing else",
	why:  "that is what a journal is for",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		before, err := j.Append(ctx)
		if err != nil {
			return err
		}
		if _, err := j.Append(ctx, store.Mark{Kind: store.Key, Name: "page"}, store.Mark{Kind: store.Tag, Name: "tag", Soft: true}); err != nil {
			return err
		}
		marks, head, err := j.Since(ctx, before)
		if err != nil {
			return err
		}
		r := store.NewReplica(0)
		for _, m := range marks {
			r.Apply(m)
		}
		type answer struct{ hard, soft bool }
		for _, tt := range []struct {
			e    store.Entry
			want answer
		}{
			{store.Entry{Key: "page", Fill: before}, answer{true, false}},
			{store.Entry{Key: "page", Fill: head}, answer{false, false}},
			{store.Entry{Key: "other", Tags: []string{"tag"}, Fill: before}, answer{false, true}},
			{store.Entry{Key: "other", Fill: before}, answer{false, false}},
		} {
			var got answer
			if got.hard, got.soft = r.Covers(&tt.e); got != tt.want {
				return fmt.Errorf("entry %q with tags %v and fill %d: %+v, want %+v", tt.e.Key, tt.e.Tags, tt.e.Fill, got, tt.want)
			}
		}
		return nil
	},
}}

// patience is how long a watcher may take to hear of a mark, or to end.
const patience = 10 * time.Second

// appendAll appends marks of every kind, one and several at a time, and returns them numbered.
func appendAll(ctx context.Context, j store.Journal) ([]store.Numbered, error) {
	var all []store.Numbered
	last, err := j.Append(ctx)
	if err != nil {
		return nil, err
	}
	for _, marks := range [][]store.Mark{
		{{Kind: store.Key, Name: "page"}},
		{{Kind: store.Key, Name: "page"}},
		{{Kind: store.Key, Name: "page", Soft: true}, {Kind: store.Tag, Name: "tag"}, {Kind: store.Tag, Name: "tag", Soft: true}},
		{{Kind: store.Prefix, Name: "page/"}, {Kind: store.Prefix, Name: "page/", Soft: true}},
		{{Kind: store.Everything}},
		{{Kind: store.Everything, Soft: true}},
	} {
		n, err := j.Append(ctx, marks...)
		if err != nil {
			return nil, fmt.Errorf("Append(%+v): %w", marks, err)
		}
		if n < last+uint64(len(marks)) {
			return nil, fmt.Errorf("Append of %d marks returned %d, the head was %d: the numbers do not grow with each mark", len(marks), n, last)
		}
		got, _, err := j.Since(ctx, last)
		if err != nil {
			return nil, err
		}
		if len(got) != len(marks) || got[len(got)-1].Number != n {
			return nil, fmt.Errorf("Append(%+v) returned %d, and Since(%d) %+v: want these marks, the last with that number", marks, n, last, got)
		}
		for i, m := range marks {
			all = append(all, store.Numbered{Mark: m, Number: got[i].Number})
		}
		last = n
	}
	return all, nil
}

func since(ctx context.Context, j store.Journal, number uint64, want []store.Numbered, wantHead uint64) error {
	got, head, err := j.Since(ctx, number)
	if err != nil {
		return fmt.Errorf("Since(%d): %w", number, err)
	}
	if !slices.Equal(got, want) || head != wantHead {
		return fmt.Errorf("Since(%d) =\n%.2000q, head %d; want\n%.2000q, head %d", number, fmt.Sprint(got), head, fmt.Sprint(want), wantHead)
	}
	for i, n := range got {
		if n.Number <= number || i > 0 && n.Number <= got[i-1].Number {
			return fmt.Errorf("Since(%d): the numbers do not ascend: %v", number, got)
		}
	}
	return nil
}

func concurrentJournal(ctx context.Context, j store.Journal, _ Options) error {
	const workers, rounds = 8, 50
	var all sync.WaitGroup
	errs := make([]error, workers)
	numbers := make([]map[string]uint64, workers)
	for w := range workers {
		numbers[w] = map[string]uint64{}
		all.Go(func() {
			for i := range rounds {
				name := fmt.Sprint(w, "/", i)
				n, err := j.Append(ctx, store.Mark{Kind: store.Key, Name: name}, store.Mark{Kind: store.Tag, Name: name})
				if err != nil {
					errs[w] = err
					return
				}
				numbers[w][name] = n
				// Acknowledged is visible, whatever the others do.
				marks, head, err := j.Since(ctx, n-1)
				if err != nil || head < n || len(marks) == 0 || marks[0].Number != n || marks[0].Name != name {
					errs[w] = fmt.Errorf("right after Append returned %d: Since(%d) = %.300q, head %d, %v", n, n-1, fmt.Sprint(marks), head, err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	marks, _, err := j.Since(ctx, 0)
	if err != nil {
		return err
	}
	if len(marks) != 2*workers*rounds {
		return fmt.Errorf("%d marks after %d were appended", len(marks), 2*workers*rounds)
	}
	last := uint64(0)
	for _, m := range marks {
		if m.Number <= last {
			return fmt.Errorf("number %d after %d", m.Number, last)
		}
		last = m.Number
		var w int
		fmt.Sscanf(m.Name, "%d/", &w)
		if n := numbers[w][m.Name]; m.Kind == store.Tag && n != m.Number {
			return fmt.Errorf("Append of %q returned %d, Since says %d", m.Name, n, m.Number)
		}
	}
	return nil
}

func watchAll(ctx context.Context, j store.Journal, _ Options) error {
	const before, after = 3, 20
	mark := func(i int) store.Mark { return store.Mark{Kind: store.Key, Name: fmt.Sprint("page ", i)} }
	for i := range before {
		if _, err := j.Append(ctx, mark(i)); err != nil {
			return err
		}
	}
	first, _, err := j.Since(ctx, 0)
	if err != nil || len(first) != before {
		return fmt.Errorf("Since(0) = %v, %v; want %d marks", first, err, before)
	}

	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := make(chan error, after+2) // never to block the watcher
	go func() {
		i, last := 1, first[0].Number // begin after the first mark
		for n, err := range j.Watch(watching, last) {
			switch {
			case err != nil:
				seen <- err
				return
			case n.Mark != mark(i) || n.Number <= last:
				seen <- fmt.Errorf("yielded %+v after number %d; want %+v", n, last, mark(i))
				return
			}
			last = n.Number
			if i++; i >= before { // one word for the old ones, one for each new one
				seen <- nil
			}
			if i == before+after {
				return // without waiting for the context
			}
		}
		seen <- errors.New("ended before its context")
	}()
	hear := func() error {
		select {
		case err := <-seen:
			return err
		case <-time.After(patience):
			return fmt.Errorf("no word of a mark for %v", patience)
		}
	}
	if err := hear(); err != nil {
		return fmt.Errorf("Watch from number %d: %w", first[0].Number, err)
	}
	for i := before; i < before+after; i++ {
		if _, err := j.Append(ctx, mark(i)); err != nil {
			return err
		}
		if err := hear(); err != nil {
			return fmt.Errorf("Watch: %w", err)
		}
	}
	return nil
}
