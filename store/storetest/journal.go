package storetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

var journalRules = slices.Concat(markRules, watchRules)

var markRules = []rule[store.Journal]{{
	name: "a new journal has no marks",
	why:  "a node that starts must not find invalidations that nobody made",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		head, err := beginning(ctx, j)
		if err != nil {
			return err
		}
		if n, err := j.Append(ctx); n != head || err != nil {
			return fmt.Errorf(
				"Append of nothing: %d, %v; want the head, %d, as Since(0) reports it", n, err,
				head)
		}
		return since(ctx, j, head, nil, head)
	},
}, {
	name: "each mark has a number of its own, greater than all before",
	why: "the one comparison, of a mark's number with an entry's fill, is what every purge " +
		"rests on",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		begin, all, err := appendAll(ctx, j)
		if err != nil {
			return err
		}
		return since(ctx, j, begin, all, all[len(all)-1].Number)
	},
}, {
	name: "Append of nothing returns the head and changes nothing",
	why:  "that is how to ask for the number",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		begin, all, err := appendAll(ctx, j)
		if err != nil {
			return err
		}
		head := all[len(all)-1].Number
		for range 2 {
			if n, err := j.Append(ctx); n != head || err != nil {
				return fmt.Errorf("Append of nothing: %d, %v; want the head, %d", n, err, head)
			}
		}
		return since(ctx, j, begin, all, head)
	},
}, {
	name: "Since returns exactly the marks after a number",
	why:  "a node that catches up must neither miss a mark nor begin from the start each time",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		begin, all, err := appendAll(ctx, j)
		if err != nil {
			return err
		}
		if err := since(ctx, j, begin, all, all[len(all)-1].Number); err != nil {
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
	name: "a number above the head gets no marks, and the head",
	why: "that is how a node learns that the journal was lost and has begun anew; an error, or " +
		"the number given back, hides it",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		_, all, err := appendAll(ctx, j)
		if err != nil {
			return err
		}
		head := all[len(all)-1].Number
		return since(ctx, j, head+1_000_000, nil, head)
	},
}, {
	name: "the marks of one Append come in the order given, with numbers that follow one another",
	why: "a process that appends knows the first number from the last; a gap or another's mark " +
		"among them is a mark missed",
	check: appendMany,
}, {
	name: "marks that are returned in parts are all of them, in order, and each part has the head",
	why: "a node takes what it was given for all that there is when the last mark has the head's " +
		"number, and asks on from there when it has not: a gap, or the head of a part, is marks missed",
	check: parts,
}, {
	name: "a mark that names nothing is refused",
	why:  "an empty variable in a purge call must not pass for a purge, nor purge everything",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		begin, err := beginning(ctx, j)
		if err != nil {
			return err
		}
		for _, m := range []store.Mark{{Kind: store.MarkKey}, {Kind: store.MarkTag},
			{Kind: store.MarkPrefix}, {Kind: 200, Name: "x"}} {
			if n, err := j.Append(ctx, m); err == nil {
				return fmt.Errorf("Append(%+v) = %d without an error", m, n)
			}
		}
		if err := since(ctx, j, begin, nil, begin); err != nil {
			return fmt.Errorf("recorded all the same: %w", err)
		}
		return nil
	},
}, {
	name: "no mark that was appended is a beginning",
	why: "a process that reads of one appends its newest marks again: each purge of everything " +
		"would be followed by all that was purged lately",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		begin, err := beginning(ctx, j)
		if err != nil {
			return err
		}
		for _, name := range []string{"", "0", "1", "17", "b17", "\x00"} {
			if _, err := j.Append(ctx, store.Mark{Kind: store.MarkEverything, Name: name},
				store.Mark{Kind: store.MarkTag, Name: "b17"}); err != nil {
				return err
			}
		}
		marks, _, err := invalidation.Since(ctx, j, begin)
		if err != nil {
			return err
		}
		for _, m := range marks {
			if m.After != 0 {
				return fmt.Errorf("Since(%d) = %+v: After is %d; want 0", begin, m, m.After)
			}
		}
		return nil
	},
}, {
	name: "a barrier has its number and its place among the marks, with a name or without",
	why: "processes that have applied it have applied all before it; one that is lost, or taken " +
		"for another mark, is waited for in vain or empties the cache",
	check: barriers,
}, {
	name: "names of any content come back as they are",
	why:  "they are compared with keys and tags byte by byte",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		begin, err := beginning(ctx, j)
		if err != nil {
			return err
		}
		var want []store.Numbered
		for _, name := range []string{" ", "a b", "a\x00b", "\xff", "a\r\nb", "ключ", "'; --",
			string(make([]byte, 10_000))} {
			m := store.Mark{Kind: store.MarkTag, Name: name}
			n, err := j.Append(ctx, m)
			if err != nil {
				return fmt.Errorf("Append of a tag named %.20q: %w", name, err)
			}
			want = append(want, store.Numbered{Mark: m, Number: n})
		}
		return since(ctx, j, begin, want, want[len(want)-1].Number)
	},
}, {
	name: "concurrent appends get different numbers, and none is lost",
	why: "two purges under one number, and a node that has seen the first believes that it has " +
		"seen both",
	check: concurrentJournal,
}, {
	name: "a replica fed by the journal covers what was invalidated, and nothing else",
	why:  "that is what a journal is for",
	check: func(ctx context.Context, j store.Journal, _ Options) error {
		before, err := j.Append(ctx)
		if err != nil {
			return err
		}
		if _, err := j.Append(ctx, store.Mark{Kind: store.MarkKey, Name: "page"},
			store.Mark{Kind: store.MarkTag, Name: "tag", Soft: true}); err != nil {
			return err
		}
		marks, head, err := invalidation.Since(ctx, j, before)
		if err != nil {
			return err
		}
		r := invalidation.NewReplica(0)
		for _, m := range marks {
			r.Apply(m)
		}
		for _, tt := range []struct {
			e    store.Entry
			want invalidation.Coverage
		}{
			{store.Entry{Key: "page", Number: before}, invalidation.CoverageHard},
			{store.Entry{Key: "page", Number: head}, invalidation.CoverageNone},
			{store.Entry{Key: "other", Tags: []string{"tag"}, Number: before},
				invalidation.CoverageSoft},
			{store.Entry{Key: "other", Number: before}, invalidation.CoverageNone},
		} {
			if got := r.Covers(&tt.e); got != tt.want {
				return fmt.Errorf("entry %q with tags %v and fill %d: coverage %v, want %v",
					tt.e.Key, tt.e.Tags, tt.e.Number, got, tt.want)
			}
		}
		return nil
	},
}}

func barriers(ctx context.Context, j store.Journal, _ Options) error {
	begin, err := beginning(ctx, j)
	if err != nil {
		return err
	}
	barrier, page := store.Mark{Kind: store.MarkBarrier}, store.Mark{Kind: store.MarkKey, Name: "p"}
	named := store.Mark{Kind: store.MarkBarrier, Name: "web 1"}
	notice := store.Mark{Kind: store.MarkNotice, Name: "done 1"}
	var want []store.Numbered
	for _, marks := range [][]store.Mark{{barrier}, {page}, {page, barrier, named}, {notice, barrier},
		{notice}} {
		n, err := j.Append(ctx, marks...)
		if err != nil {
			return fmt.Errorf("Append(%+v): %w", marks, err)
		}
		for i, m := range marks {
			want = append(want, store.Numbered{Mark: m, Number: n - uint64(len(marks)-1-i)})
		}
	}
	if err := since(ctx, j, begin, want, want[len(want)-1].Number); err != nil {
		return err
	}
	if err := since(ctx, j, want[0].Number, want[1:], want[len(want)-1].Number); err != nil {
		return err
	}
	watching, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	i := 0
	for n, err := range j.Watch(watching, begin) {
		if err != nil || n != want[i] {
			return fmt.Errorf("Watch yielded %+v, %v; want %+v", n, err, want[i])
		}
		if i++; i == len(want) {
			return nil
		}
	}
	return fmt.Errorf("Watch yielded %d of %d marks in %v", i, len(want), patience)
}

// appendAll appends marks of every kind, one and several at a time, and returns them numbered, and
// the journal's beginning.
func appendAll(
	ctx context.Context, j store.Journal,
) (begin uint64, all []store.Numbered, err error) {
	begin, err = beginning(ctx, j)
	if err != nil {
		return 0, nil, err
	}
	last := begin
	for _, marks := range [][]store.Mark{
		{{Kind: store.MarkKey, Name: "page"}},
		{{Kind: store.MarkKey, Name: "page"}},
		{{Kind: store.MarkKey, Name: "page", Soft: true}, {Kind: store.MarkTag, Name: "tag"},
			{Kind: store.MarkTag, Name: "tag", Soft: true}},
		{{Kind: store.MarkPrefix, Name: "page/"}, {Kind: store.MarkPrefix, Name: "page/",
			Soft: true}},
		{{Kind: store.MarkEverything}},
		{{Kind: store.MarkEverything, Soft: true}},
	} {
		n, err := j.Append(ctx, marks...)
		if err != nil {
			return 0, nil, fmt.Errorf("Append(%+v): %w", marks, err)
		}
		if n < last+uint64(len(marks)) {
			return 0, nil, fmt.Errorf("Append of %d marks returned %d, the head was %d: the "+
				"numbers do not grow with each mark", len(marks), n, last)
		}
		got, _, err := invalidation.Since(ctx, j, last)
		if err != nil {
			return 0, nil, err
		}
		if len(got) != len(marks) || got[len(got)-1].Number != n {
			return 0, nil, fmt.Errorf("Append(%+v) returned %d, and Since(%d) %+v: want these "+
				"marks, the last with that number", marks, n, last, got)
		}
		for i, m := range marks {
			all = append(all, store.Numbered{Mark: m, Number: got[i].Number})
		}
		last = n
	}
	return begin, all, nil
}

// beginning returns the head of a journal without marks. One that is shared cannot know what was
// before it began, and answers Since(0) with a hard Everything mark of the number that it begins
// at.
func beginning(ctx context.Context, j store.Journal) (uint64, error) {
	marks, head, err := invalidation.Since(ctx, j, 0)
	if err != nil {
		return 0, fmt.Errorf("Since(0) of a new journal: %w", err)
	}
	if len(marks) > 0 {
		marks[0].After = 0 // of what was before, nothing is known here
	}
	if len(marks) > 0 && !slices.Equal(marks,
		[]store.Numbered{{Mark: store.Mark{Kind: store.MarkEverything}, Number: head}}) {
		return 0, fmt.Errorf("Since(0) of a new journal = %.300q, head %d; want no marks, or one "+
			"hard Everything mark with the head's number", fmt.Sprint(marks), head)
	}
	return head, nil
}

func since(
	ctx context.Context, j store.Journal, number uint64, want []store.Numbered, wantHead uint64,
) error {
	got, head, err := invalidation.Since(ctx, j, number)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) || head != wantHead {
		return fmt.Errorf("Since(%d) =\n%.2000q, head %d; want\n%.2000q, head %d", number,
			fmt.Sprint(got), head, fmt.Sprint(want), wantHead)
	}
	return nil
}
