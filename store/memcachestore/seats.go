package memcachestore

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/seat"
	"github.com/freshet-go/freshet/store/internal/watch"
)

// leastSeats is with how many servers a journal has a successor: of two, no majority survives one.
const leastSeats = 3

// seated is a [store.Journal] on the server that more than half of the servers agree on: its seat.
// Each answer is one of the seat that they agreed on when the call had begun already, and what was
// written counts when they still agree on it afterwards.
type seated struct {
	backend *Backend
	prefix  string
	members int // how many it has at most
	keeper  *seat.Keeper

	mu sync.Mutex
	at *journal // at the seat used last; nil: none
}

var (
	_ store.Journal      = (*seated)(nil)
	_ store.NamedJournal = (*seated)(nil)
	_ store.Membership   = (*seated)(nil)
)

func newSeated(b *Backend, prefix string) *seated {
	return &seated{backend: b, prefix: prefix, members: store.MaxMembers,
		keeper: seat.New(b.pool.done, newCopies(b, prefix))}
}

// JournalName implements [store.NamedJournal]: by the servers and the prefix.
func (s *seated) JournalName() string { return s.backend.journalName(s.prefix) }

// journal returns the journal at a seat.
func (s *seated) journal(at seat.Seat) *journal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil || s.at.seat != at {
		s.at = &journal{backend: s.backend, prefix: s.prefix, members: s.members, seat: at,
			server: s.backend.servers.named(at.Server)}
	}
	return s.at
}

// find returns the journal at the seat that is agreed on, and its head.
func (s *seated) find(ctx context.Context, op string) (*journal, head, error) {
	at, h, err := s.keeper.Find(ctx)
	if err != nil {
		return nil, head{}, s.fail(ctx, op, err)
	}
	return s.journal(at), head{h.Number, h.Generation}, nil
}

// fail returns the error of a call for which no seat was found.
func (s *seated) fail(ctx context.Context, op string, err error) error {
	e, ok := errors.AsType[*seat.Error](err)
	if !ok || ctx.Err() != nil {
		at := s.backend.servers.named(s.keeper.Seat().Server)
		if at == nil {
			at = s.backend.servers.all[0]
		}
		return s.backend.fail(ctx, op, s.prefix, at, ctx.Err())
	}
	kind := store.KindTransient
	if cause, ok := errors.AsType[*store.Error](e.Cause); ok {
		kind = cause.Kind
	}
	if e.Foreign() {
		kind = store.KindPermanent
	}
	return &store.Error{Backend: string(driver), Op: op, Key: s.prefix, Kind: kind, Err: e}
}

// write calls f with the journal at its seat, and again where the journal moves meanwhile.
func (s *seated) write(ctx context.Context, op string, f func(*journal) error) error {
	err := s.keeper.Write(ctx, func(at seat.Seat) error {
		j := s.journal(at)
		if j.server == nil {
			return driver.Refuse(op, s.prefix, "the journal is on the server %q, which this process "+
				"does not know: all processes name the same servers, in the same words", at.Server)
		}
		return f(j)
	})
	if _, ok := errors.AsType[*seat.Error](err); ok || err != nil && !fault.Made(err) {
		return s.fail(ctx, op, err)
	}
	return err
}

// Append implements [store.Journal]. A mark whose name does not fit an item becomes one that covers
// everything.
func (s *seated) Append(ctx context.Context, what ...store.Mark) (last uint64, err error) {
	const op = "append"
	if err := driver.CheckPrefix(op, s.prefix); err != nil {
		return 0, err
	}
	if err := driver.CheckMarks(op, s.prefix, what); err != nil {
		return 0, err
	}
	if len(what) == 0 {
		_, h, err := s.find(ctx, op)
		return h.number, err
	}
	err = s.write(ctx, op, func(j *journal) (err error) {
		last, err = j.Append(ctx, what...)
		return err
	})
	if err != nil {
		return 0, err
	}
	s.keeper.Saw(last)
	return last, nil
}

// Since implements [store.Journal].
func (s *seated) Since(
	ctx context.Context, number uint64,
) (marks []store.Numbered, last uint64, err error) {
	const op = "since"
	if err := driver.CheckPrefix(op, s.prefix); err != nil {
		return nil, 0, err
	}
	s.keeper.Saw(number)
	j, h, err := s.find(ctx, op)
	if err != nil {
		return nil, 0, err
	}
	if marks, err = j.read(ctx, op, h, number); err != nil {
		return nil, 0, err
	}
	if number < j.seat.Number && len(marks) > 0 { // also where the beginning is forgotten
		marks[0].After = marks[0].Number - 1
	}
	return marks, h.number, nil
}

// Watch implements [store.Journal]. It asks four times a second, and up to 40 times while marks
// come.
func (s *seated) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return poll(ctx, s.backend, s.prefix, from, s.Since)
}

// poll follows a journal by asking it.
func poll(
	ctx context.Context, b *Backend, prefix string, from uint64,
	since func(context.Context, uint64) ([]store.Numbered, uint64, error),
) iter.Seq2[store.Numbered, error] {
	return watch.Seq(func(yield watch.Yield) error {
		err := watch.Poll(ctx, b.pool.done.Done(), from, yield,
			func(from uint64) ([]store.Numbered, uint64, <-chan struct{}, error) {
				marks, head, err := since(ctx, from)
				return marks, head, nil, err
			})
		// of Poll's own: the journal was lost
		return driver.Fail("watch", prefix, store.KindPermanent, err)
	})
}

// Renew implements [store.Membership].
func (s *seated) Renew(ctx context.Context, m store.Member) error {
	const op = "renew"
	if err := driver.CheckPrefix(op, s.prefix); err != nil {
		return err
	}
	if err := driver.CheckMember(s.prefix, m); err != nil {
		return err
	}
	return s.write(ctx, op, func(j *journal) error { return j.Renew(ctx, m) })
}

// Members implements [store.Membership]. After a move, members are on the list when they have
// renewed.
func (s *seated) Members(ctx context.Context) ([]store.Member, error) {
	const op = "members"
	if err := driver.CheckPrefix(op, s.prefix); err != nil {
		return nil, err
	}
	j, _, err := s.find(ctx, op)
	if err != nil {
		return nil, err
	}
	return j.Members(ctx)
}

// Leave implements [store.Membership].
func (s *seated) Leave(ctx context.Context, id string) error {
	const op = "leave"
	if err := driver.CheckPrefix(op, s.prefix); err != nil {
		return err
	}
	j, _, err := s.find(ctx, op)
	if err != nil {
		return err
	}
	return j.Leave(ctx, id)
}
