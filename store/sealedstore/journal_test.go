package sealedstore_test

import (
	"slices"
	"testing"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/sealedstore"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestASealedJournalIsAJournal(t *testing.T) {
	storetest.RunJournal(t, func(t *testing.T) store.Journal {
		return started(t, "one", inMemory(t), "1").journal
	}, storetest.Options{Virtual: true})
}

// A mark that does not open, because a process without the keys has appended it or somebody has
// altered it, covers everything, for those who ask and those who watch; a barrier or a notice covers
// nothing. So does what the journal itself says has been forgotten, which is no fault.
func TestAMarkThatDoesNotOpenCoversEverything(t *testing.T) {
	ctx := t.Context()
	inner := inMemory(t)
	var a alarm
	b := seal(t, inner, sealedstore.Options{OnFault: a.hear})
	journaler, _ := store.As[store.Journaler](b)
	j, plain := journaler.Journal("blog:"), inner.Journal("blog:")
	z := seal(t, inner, sealedstore.Options{Keys: sealedstore.Keys{Key: key(t, 'z')}})
	unknown, _ := store.As[store.Journaler](z)

	begin, err := j.Append(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tag := store.Mark{Kind: store.MarkTag, Name: "tag"}
	everything := store.Mark{Kind: store.MarkEverything}
	barrier := store.Mark{Kind: store.MarkBarrier}
	var want []store.Mark
	for _, each := range []struct {
		by         store.Journal
		mark, want store.Mark
	}{
		{j, tag, tag},
		{plain, tag, everything},
		{unknown.Journal("blog:"), tag, everything},
		{plain, store.Mark{Kind: store.MarkEverything, Soft: true}, everything},
		{plain, everything, everything}, // as the journal says of what it has forgotten
		{plain, barrier, barrier},
		{plain, store.Mark{Kind: store.MarkBarrier, Name: "fshs\x01"}, barrier},
		{plain, store.Mark{Kind: store.MarkNotice, Name: "a run"}, barrier},
		{j, store.Mark{Kind: store.MarkNotice, Name: "a run"}, store.Mark{Kind: store.MarkNotice,
			Name: "a run"}},
		{j, tag, tag},
	} {
		if _, err := each.by.Append(ctx, each.mark); err != nil {
			t.Fatal(err)
		}
		want = append(want, each.want)
	}
	marks, _, err := j.Since(ctx, begin)
	if err != nil || len(marks) != len(want) {
		t.Fatalf("%+v, %v", marks, err)
	}
	i := 0
	for n, err := range j.Watch(ctx, begin) {
		if err != nil || n.Mark != want[i] || marks[i] != n {
			t.Errorf("mark %d: Watch yields %+v, %v, Since %+v; want %+v", i, n, err, marks[i], want[i])
		}
		if i++; i == len(want) {
			break
		}
	}
	if f := b.Faults(); f != (sealedstore.Faults{Unsealed: 6, UnknownKey: 2, Altered: 2}) {
		t.Errorf("faults: %+v", f)
	}
	for _, f := range a.faults {
		if f.Key != "" {
			t.Errorf("a fault of a mark names the key %q", f.Key)
		}
	}
	// A newcomer reads the same, and takes what was appended before it began for no fault, unless
	// it was altered.
	fresh := seal(t, inner, sealedstore.Options{})
	journaler, _ = store.As[store.Journaler](fresh)
	marks, _, err = journaler.Journal("blog:").Since(ctx, 0)
	if err != nil || !slices.EqualFunc(marks[1:], want, func(n store.Numbered, m store.Mark) bool {
		return n.Mark == m
	}) || fresh.Faults() != (sealedstore.Faults{Altered: 1}) {
		t.Errorf("a newcomer reads %+v, %v, with faults %+v", marks, err, fresh.Faults())
	}
	// Who reads the journal without the keys holds everything for stale.
	marks, _, err = plain.Since(ctx, begin)
	if err != nil || marks[0].Kind != store.MarkEverything || !marks[0].Soft {
		t.Errorf("in the clear, the mark is %+v, %v", marks, err)
	}
}

// The list of members is in the clear: another store's with other keys reads it.
func TestMembersAreInTheClear(t *testing.T) {
	inner := inMemory(t)
	m, ok := store.As[store.Membership](started(t, "one", inner, "1").journal)
	if !ok {
		t.Fatal("no Membership")
	}
	if err := m.Renew(t.Context(), store.Member{ID: "a", Name: "host"}); err != nil {
		t.Fatal(err)
	}
	plain, _ := store.As[store.Membership](inner.Journal("blog:"))
	all, err := plain.Members(t.Context())
	if err != nil || len(all) != 1 || all[0].Name != "host" {
		t.Errorf("members: %+v, %v", all, err)
	}
}
