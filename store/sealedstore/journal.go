package sealedstore

import (
	"context"
	"errors"
	"iter"

	"github.com/freshet-go/freshet/store"
)

type journaler struct {
	b     *Backend
	inner store.Journaler
}

// Journal implements [store.Journaler]. The journal seals the kinds and the names of marks, all but
// those of a hard MarkEverything and of a MarkBarrier that have no name. That there is a MarkBarrier
// or a MarkNotice is in the clear; what it is called is not. It is a
// [store.Membership] if the inner one is.
func (j journaler) Journal(prefix string) store.Journal {
	inner := j.inner.Journal(prefix)
	if inner == nil {
		return nil
	}
	sealed := &journal{j.b, inner, prefix}
	if m, ok := store.As[store.Membership](inner); ok {
		return &withMembers{sealed, m}
	}
	return sealed
}

// journal seals marks.
type journal struct {
	b      *Backend
	inner  store.Journal
	prefix string
}

// withMembers is a journal that has a list of members, in the clear.
type withMembers struct {
	*journal
	store.Membership
}

// The flags of a mark: its kind, and this.
const softFlag = 1 << 7

var (
	// everything is the hard mark that stands for whatever does not open and may cover entries.
	everything = store.Mark{Kind: store.MarkEverything}
	// nothing stands for what does not open and covers none, as a barrier or a notice. Who can write
	// to the journal could as well put a barrier there.
	nothing = store.Mark{Kind: store.MarkBarrier}
)

// seal returns the mark as it lies on the server. It is a soft MarkEverything there, not a hard one:
// that may stand for marks that a journal has forgotten, which this one does not.
func (j *journal) seal(m store.Mark) store.Mark {
	if m.Name == "" && (m == everything || m.Kind == store.MarkBarrier && !m.Soft) {
		return m
	}
	flags := byte(m.Kind)
	if m.Soft {
		flags |= softFlag
	}
	sealed := store.Mark{Kind: store.MarkEverything, Soft: true}
	if !m.Kind.Covers() {
		sealed = store.Mark{Kind: m.Kind}
	}
	sealed.Name = j.b.rings[0].sealMark(j.prefix, flags, m.Name)
	return sealed
}

// open returns the mark that was sealed. One that does not open covers everything, unless it is of a
// kind that covers nothing. A newcomer reads what was appended before it began, also before there was
// encryption, or with keys that are no more among its own: that is no fault.
func (j *journal) open(n store.Numbered, newcomer bool) store.Numbered {
	if n.Name == "" && (n.Mark == everything || n.Kind == store.MarkBarrier && !n.Soft) {
		return n
	}
	m, err := j.unseal(n.Mark)
	if err != nil {
		if m = everything; !n.Kind.Covers() {
			m = nothing
		}
		if !newcomer || errors.Is(err, errAltered) {
			j.b.faults.heard("", err)
		}
	}
	n.Mark = m
	return n
}

func (j *journal) unseal(m store.Mark) (store.Mark, error) {
	sealed := []byte(m.Name)
	h, err := parse(sealed, markHead)
	if err != nil {
		return m, err
	}
	r, err := j.b.rings.of(h.id)
	if err != nil {
		return m, err
	}
	flags, name, err := r.openMark(h, j.prefix, sealed)
	if err != nil {
		return m, err
	}
	opened := store.Mark{Kind: store.MarkKind(flags &^ softFlag), Name: name,
		Soft: flags&softFlag != 0}
	if opened.Validate() != nil {
		return m, errVersion // a kind of a later version's
	}
	return opened, nil
}

// Append implements [store.Journal].
func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if err := driver.CheckMarks("append", j.prefix, what); err != nil {
		return 0, err
	}
	sealed := make([]store.Mark, len(what))
	for i, m := range what {
		sealed[i] = j.seal(m)
	}
	return j.inner.Append(ctx, sealed...)
}

// Since implements [store.Journal].
func (j *journal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	sealed, head, err := j.inner.Since(ctx, number)
	if len(sealed) == 0 {
		return nil, head, err
	}
	marks := make([]store.Numbered, len(sealed)) // the inner journal may have kept its own
	for i, n := range sealed {
		marks[i] = j.open(n, number == 0)
	}
	return marks, head, err
}

// Watch implements [store.Journal].
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		for n, err := range j.inner.Watch(ctx, from) {
			if err == nil {
				n = j.open(n, false)
			}
			if !yield(n, err) {
				return
			}
		}
	}
}
