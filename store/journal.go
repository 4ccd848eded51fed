package store

import (
	"context"
	"fmt"
	"iter"
)

// MarkKind says what a Mark invalidates.
type MarkKind uint8

const (
	// MarkKey marks one resource: every entry whose URI is the mark's name, with all its keys and
	// variants. An entry without URI goes by its Key.
	MarkKey MarkKind = iota
	// MarkTag marks every entry that carries the tag.
	MarkTag
	// MarkPrefix marks every entry whose URI (or Key, if it has no URI) begins with the name, byte
	// by byte: ".../blog" covers ".../blogger" too, ".../blog/" does not.
	MarkPrefix
	// MarkEverything marks all there is. Its name is not looked at.
	MarkEverything
	// MarkBarrier marks nothing, whatever its name. Its number is greater than those of all marks
	// before it, and every process that follows the journal renews its membership at once when it
	// has applied it ([Membership]).
	MarkBarrier
	// MarkNotice marks nothing. Its name is a word between the processes that follow the journal:
	// the engine's, about runs of handlers that one of them makes for all.
	MarkNotice
)

// Covers reports whether marks of the kind may cover entries: a barrier and a notice do not.
func (k MarkKind) Covers() bool { return k != MarkBarrier && k != MarkNotice }

// String returns the kind's name in lower case: the word in logs and in a journal's records.
func (k MarkKind) String() string {
	switch k {
	case MarkKey:
		return "key"
	case MarkTag:
		return "tag"
	case MarkPrefix:
		return "prefix"
	case MarkEverything:
		return "everything"
	case MarkBarrier:
		return "barrier"
	case MarkNotice:
		return "notice"
	}
	return fmt.Sprintf("MarkKind(%d)", uint8(k))
}

// Mark is one invalidation.
type Mark struct {
	Kind MarkKind
	Name string
	// Soft marks entries as stale; they may still be served where stale serving is allowed.
	// Otherwise they are gone.
	Soft bool
}

// Validate reports a mark that no journal accepts: of an unknown kind, or without the name that its
// kind needs. To mark everything, say MarkEverything.
func (m Mark) Validate() error {
	switch {
	case m.Kind > MarkNotice:
		return fmt.Errorf("store: mark of unknown kind %d", uint8(m.Kind))
	case (m.Kind < MarkEverything || m.Kind == MarkNotice) && m.Name == "":
		return fmt.Errorf("store: %s mark without a name; to invalidate all entries use "+
			"MarkEverything", m.Kind)
	}
	return nil
}

// Numbered is a mark with the number that the journal gave it.
type Numbered struct {
	Mark
	Number uint64
	// After is set on the hard MarkEverything with which a journal begins anew, because it may have
	// lost marks that it gave out: the greatest number that it still knew of, or 1 if it knew of
	// none. Marks with numbers between After and Number are lost to those who have not seen them,
	// and they may be of changes made after the journal began anew: at a failover, some processes
	// still append to the old server while others ask the new one already. So a process that has
	// seen such a mark appends it again. It is 0 on every other mark.
	After uint64
}

// NamedJournal is the ability of a [Journal] to say which one it is. As finds it.
type NamedJournal interface {
	// JournalName returns a name without credentials, of at most 1 KiB: another than that of every
	// other journal, and always the same for one that is reached by the same address and prefix.
	JournalName() string
}

// Journal numbers invalidations and lets nodes follow them. It is safe for concurrent use.
//
// A fill notes the journal's number (the head that its node knows of) when the handler begins, and
// its entry carries it as Fill. A mark covers an entry when it names it and has the greater number.
// So a number must never be given out before the change that it speaks of was made: call Append
// after the data has changed.
type Journal interface {
	// Append records marks, each under a number of its own greater than every number before it, in
	// the order given. It returns the greatest of them, once Since reaches them all. Without marks
	// it returns the head. When it fails, it may have recorded some of the marks.
	Append(ctx context.Context, what ...Mark) (number uint64, err error)
	// Since returns the marks with greater numbers than number, in ascending order, and the head:
	// the greatest number given out so far. It returns all of them, or the first of them and the
	// same head: at least one, and as many as a server reads out in a few milliseconds, whatever
	// they are together. While the last mark's number is smaller than the head, Since from that
	// number returns those that follow.
	//
	// A journal that has forgotten marks after number says so by a hard MarkEverything in their
	// place, with the number of the newest forgotten one. A journal that knows that it may have
	// lost marks begins anew with a hard MarkEverything whose After says up to where it still
	// knows; if that one is among those forgotten, the mark in their place has an After of 1. One
	// that begins anew since it never gave out number tells of that first, and of nothing before:
	// marks before it would pass for all there are. A head below number means that the journal was
	// lost and does not know it: nothing stored before can be trusted.
	Since(ctx context.Context, number uint64) (marks []Numbered, head uint64, err error)
	// Watch yields the marks with greater numbers than from, in ascending order, and then each new
	// one as it comes. When ctx is done the sequence ends. After an error, which is yielded once,
	// it ends too: watch again, from the last number seen. To a watcher that fell too far behind it
	// yields MarkEverything, as Since returns it. A watcher whose number is above the head proves
	// that marks were lost: a journal that can begins anew above that number, and one that cannot
	// yields an error.
	Watch(ctx context.Context, from uint64) iter.Seq2[Numbered, error]
}
