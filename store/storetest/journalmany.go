package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

func concurrentJournal(ctx context.Context, j store.Journal, o Options) error {
	const workers = 8
	rounds := max(1, o.Rounds/2)
	begin, err := beginning(ctx, j)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make([]error, workers)
	numbers := make([]map[string]uint64, workers)
	for w := range workers {
		numbers[w] = map[string]uint64{}
		all.Go(func() {
			for i := range rounds {
				name := fmt.Sprint(w, "/", i)
				n, err := j.Append(ctx, store.Mark{Kind: store.MarkKey, Name: name},
					store.Mark{Kind: store.MarkTag, Name: name})
				if err != nil {
					errs[w] = err
					return
				}
				numbers[w][name] = n
				// Acknowledged is visible, whatever the others do.
				marks, head, err := j.Since(ctx, n-1)
				if err != nil || head < n || len(marks) == 0 || marks[0].Number != n ||
					marks[0].Name != name {
					errs[w] = fmt.Errorf("right after Append returned %d: Since(%d) = %.300q, "+
						"head %d, %v", n, n-1, fmt.Sprint(marks), head, err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	marks, _, err := invalidation.Since(ctx, j, begin)
	if err != nil {
		return err
	}
	if len(marks) != 2*workers*rounds {
		return fmt.Errorf("%d marks after %d were appended", len(marks), 2*workers*rounds)
	}
	last := begin
	for _, m := range marks {
		if m.Number <= last {
			return fmt.Errorf("number %d after %d", m.Number, last)
		}
		last = m.Number
		var w int
		fmt.Sscanf(m.Name, "%d/", &w)
		want := numbers[w][m.Name]
		if m.Kind == store.MarkKey {
			want-- // the first of the two
		}
		if m.Number != want {
			return fmt.Errorf("%s mark %q: Since gives it number %d; by what its Append "+
				"returned, it is %d", m.Kind, m.Name, m.Number, want)
		}
	}
	return nil
}

// parts asks as a node does that begins where it was, at a mark in the middle, and by a Watch.
func parts(ctx context.Context, j store.Journal, o Options) error {
	const name = 100 // bytes, as a URL has
	many := min(6000, o.Keys)
	begin, err := beginning(ctx, j)
	if err != nil {
		return err
	}
	var want []store.Numbered
	for part := range slices.Chunk(make([]store.Mark, many), 500) {
		for i := range part {
			part[i] = store.Mark{Kind: store.MarkKey, Name: fmt.Sprintf("%0*d", name, len(want)+i)}
		}
		last, err := j.Append(ctx, part...)
		if err != nil {
			return fmt.Errorf("Append of %d marks: %w", len(part), err)
		}
		for i, m := range part {
			want = append(want, store.Numbered{Mark: m, Number: last - uint64(len(part)-1-i)})
		}
	}
	head := want[many-1].Number
	for _, from := range []int{0, many / 2, many - 1} {
		number := begin
		if from > 0 {
			number = want[from-1].Number
		}
		marks, said, err := j.Since(ctx, number)
		if err != nil || len(marks) == 0 || said != head {
			return fmt.Errorf("Since(%d), with %d marks after that: %d marks, head %d, %v; want at "+
				"least one mark, and head %d", number, many-from, len(marks), said, err, head)
		}
		if err := since(ctx, j, number, want[from:], head); err != nil {
			return err
		}
	}
	watching, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	i := 0
	for n, err := range j.Watch(watching, begin) {
		if err != nil || n != want[i] {
			return fmt.Errorf("Watch(%d): mark %d is %+v, %v; want %+v", begin, i, n, err, want[i])
		}
		if i++; i == many {
			return nil
		}
	}
	return fmt.Errorf("Watch(%d): %d of %d marks in %v", begin, i, many, patience)
}

func appendMany(ctx context.Context, j store.Journal, _ Options) error {
	const many = 1000
	begin, err := beginning(ctx, j)
	if err != nil {
		return err
	}
	marks := make([]store.Mark, many)
	for i := range marks {
		marks[i] = store.Mark{Kind: store.MarkKind(i % 3), Name: fmt.Sprint("name ", i),
			Soft: i%2 == 0}
	}
	n, err := j.Append(ctx, marks...)
	if err != nil {
		return fmt.Errorf("Append of %d marks: %w", many, err)
	}
	want := make([]store.Numbered, many)
	for i, m := range marks {
		want[i] = store.Numbered{Mark: m, Number: n - many + 1 + uint64(i)}
	}
	return since(ctx, j, begin, want, n)
}
