package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// patience is how long a watcher may take to hear of a mark, or to end.
const patience = 10 * time.Second

var watchRules = []rule[store.Journal]{{
	name:  "Watch yields what was, then what comes, each once and in order",
	why:   "a node follows the others by it; a mark left out is a page that stays",
	check: watchAll,
}, {
	name: "Watch from 0 begins as Since(0) does",
	why:  "a node that knows nothing must be told what the journal has forgotten, or when it began",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		if _, _, err := appendAll(ctx, j); err != nil {
			return err
		}
		want, _, err := invalidation.Since(ctx, j, 0)
		if err != nil {
			return err
		}
		watching, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		i := 0
		for n, err := range j.Watch(watching, 0) {
			if err != nil || n != want[i] {
				return fmt.Errorf("yielded %+v, %v; want %+v", n, err, want[i])
			}
			if i++; i == len(want) {
				return nil
			}
		}
		return fmt.Errorf("yielded %d of %d marks in %v", i, len(want), patience)
	},
}, {
	name:  "every watcher hears of every mark, whichever process appends meanwhile",
	why:   "marks that come while a watcher reads others are the ones that get lost",
	check: watchTogether,
}, {
	name: "Watch ends when its context does, whether it has begun to wait or not",
	why:  "a node that stops must not leave a goroutine behind",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		head, err := beginning(ctx, j)
		if err != nil {
			return err
		}
		for _, wait := range []time.Duration{0, 300 * time.Millisecond} {
			if err := watchEnds(ctx, j, head, wait); err != nil {
				return fmt.Errorf("context ended after %v: %w", wait, err)
			}
		}
		return nil
	},
}}

func watchEnds(ctx context.Context, j store.Journal, head uint64, wait time.Duration) error {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		for n, err := range j.Watch(watching, head) {
			if err == nil {
				err = fmt.Errorf("yielded %+v", n)
			}
			ended <- err
			return
		}
		ended <- nil
	}()
	if wait > 0 {
		time.Sleep(wait)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%w; want the end of the sequence and no error", err)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("not ended %v later", patience)
	}
}

func watchAll(ctx context.Context, j store.Journal, _ Options) error {
	const before, after = 3, 20
	mark := func(i int) store.Mark {
		return store.Mark{Kind: store.MarkKey, Name: fmt.Sprint("page ", i)}
	}
	begin, err := beginning(ctx, j)
	if err != nil {
		return err
	}
	for i := range before {
		if _, err := j.Append(ctx, mark(i)); err != nil {
			return err
		}
	}
	first, _, err := invalidation.Since(ctx, j, begin)
	if err != nil || len(first) != before {
		return fmt.Errorf("Since(%d) = %v, %v; want %d marks", begin, first, err, before)
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
	if err := hear(seen); err != nil {
		return fmt.Errorf("Watch from number %d: %w", first[0].Number, err)
	}
	for i := before; i < before+after; i++ {
		if _, err := j.Append(ctx, mark(i)); err != nil {
			return err
		}
		if err := hear(seen); err != nil {
			return fmt.Errorf("Watch: %w", err)
		}
	}
	return nil
}

// hear waits for a watcher's word.
func hear(seen <-chan error) error {
	select {
	case err := <-seen:
		return err
	case <-time.After(patience):
		return fmt.Errorf("no word of a mark for %v", patience)
	}
}

func watchTogether(ctx context.Context, j store.Journal, o Options) error {
	const watchers, appenders = 3, 4
	rounds := max(1, o.Rounds/4)
	begin, err := beginning(ctx, j)
	if err != nil {
		return err
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	var watched, appended sync.WaitGroup
	errs := make([]error, watchers+appenders)
	for w := range watchers {
		watched.Go(func() { errs[w] = watchSome(watching, j, begin, appenders*rounds) })
	}
	for a := range appenders {
		appended.Go(func() {
			for i := range rounds {
				if _, err := j.Append(ctx, store.Mark{Kind: store.MarkTag, Name: fmt.Sprint(a, "/",
					i)}); err != nil {
					errs[watchers+a] = err
					return
				}
			}
		})
	}
	appended.Wait() // appending may take long on a busy machine; hearing of it may not
	defer time.AfterFunc(patience, cancel).Stop()
	watched.Wait()
	return errors.Join(errs...)
}

// watchSome watches until it has seen so many different marks, each under a number of its own.
func watchSome(ctx context.Context, j store.Journal, from uint64, many int) error {
	seen := map[string]bool{}
	for n, err := range j.Watch(ctx, from) {
		switch {
		case err != nil:
			return err
		case n.Number <= from || seen[n.Name] || n.Kind != store.MarkTag:
			return fmt.Errorf("yielded %+v after number %d and %d marks", n, from, len(seen))
		}
		from, seen[n.Name] = n.Number, true
		if len(seen) == many {
			return nil
		}
	}
	return fmt.Errorf("saw %d of %d marks, %v after the last was appended", len(seen), many, patience)
}
