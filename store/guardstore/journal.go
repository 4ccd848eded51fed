package guardstore

import (
	"context"
	"errors"

	"github.com/freshet-go/freshet/store"
)

// Journal implements [store.Journaled]: the inner store's, or nil. The Store makes its calls
// without a bound, whatever the breaker's state. One server is one piece of news: an outage that
// the log has heard of from the store it does not hear of from the journal again. Errors of the
// journal that the log has heard of match store.ErrUnavailable. The journal is a
// [store.Membership] if the inner one is.
func (s *Store) Journal() store.Journal {
	if j, ok := store.As[store.Journaled](s.inner); ok {
		if inner := j.Journal(); inner != nil {
			guarded := &journal{inner, s}
			if m, ok := store.As[store.Membership](inner); ok {
				return &withMembers{guarded, m}
			}
			return guarded
		}
	}
	return nil
}

type journal struct {
	store.Journal
	guard *Store
}

func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	number, err := j.Journal.Append(ctx, what...)
	return number, j.heard(ctx, "append", err)
}

func (j *journal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	marks, head, err := j.Journal.Since(ctx, number)
	return marks, head, j.heard(ctx, "since", err)
}

// Unwrap returns the inner journal, for store.As. Its calls are no news.
func (j *journal) Unwrap() any { return j.Journal }

// withMembers is a journal that has a list of members.
type withMembers struct {
	*journal
	members store.Membership
}

func (j *withMembers) Renew(ctx context.Context, m store.Member) error {
	return j.heard(ctx, "renew", j.members.Renew(ctx, m))
}

func (j *withMembers) Members(ctx context.Context) ([]store.Member, error) {
	all, err := j.members.Members(ctx)
	return all, j.heard(ctx, "members", err)
}

func (j *withMembers) Leave(ctx context.Context, id string) error {
	return j.heard(ctx, "leave", j.members.Leave(ctx, id))
}

// heard passes on how a call ended. The log hears of a call that was given up, or that the server
// refused, from its caller.
func (j *journal) heard(ctx context.Context, op string, err error) error {
	kind := store.KindOf(err)
	if !errors.Is(ctx.Err(), context.Canceled) {
		j.guard.news.outage.note(err)
	}
	switch {
	case err == nil:
		j.guard.news.journalAnswers()
		return nil
	case errors.Is(ctx.Err(), context.Canceled), !kind.Sick():
		return err
	}
	f := &failure{kind: kind, err: err}
	j.guard.news.journalFails(f)
	return j.guard.unavailable(call{op: operation(op)}, f)
}
