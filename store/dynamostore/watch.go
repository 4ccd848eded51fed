package dynamostore

import (
	"context"
	"iter"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/watch"
)

// Watch implements [store.Journal]. It asks four times a second, one consistent query each time. A
// watcher that is ahead of the journal makes it begin anew with a greater number.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	const op = "watch"
	return watch.Seq(func(yield watch.Yield) error {
		if err := driver.CheckPrefix(op, j.prefix); err != nil {
			return err
		}
		err := watch.Poll(ctx, nil, from, yield,
			func(from uint64) ([]store.Numbered, uint64, <-chan struct{}, error) {
				marks, head, err := j.follow(ctx, op, from)
				return marks, head, nil, err
			})
		// of Poll's own: the journal was lost
		return driver.Fail(op, j.prefix, store.KindPermanent, err)
	})
}

// follow is since for one who has seen the number, which proves that it was given out.
func (j *journal) follow(
	ctx context.Context, op string, from uint64,
) ([]store.Numbered, uint64, error) {
	marks, head, err := j.since(ctx, op, from)
	if err != nil || head >= from || from >= 1<<62 {
		return marks, head, err
	}
	h, ok, err := j.readHead(ctx, op)
	if err != nil {
		return nil, 0, err
	}
	if ok && h.number < from {
		if err := j.begin(ctx, op, h, from); err != nil {
			return nil, 0, err
		}
	}
	return j.since(ctx, op, from)
}
