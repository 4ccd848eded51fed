package redisstore

import (
	"context"
	"errors"
	"iter"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/pause"
	"github.com/freshet-go/freshet/store/internal/watch"
)

// Watch implements [store.Journal]. It has its own connection, on which the server announces that
// there are new marks; it then reads them as Since does. It also reads once a second, which finds
// marks that were not announced: after the connection was lost, or when the user may not subscribe.
// It yields an error when the server does not answer twice in a row.
//
// A watcher that is ahead of the journal, because that was lost, makes it begin anew with a greater
// number.
func (j *journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return watch.Seq(func(yield watch.Yield) error {
		w := watcher{journal: j, number: from}
		defer w.stop()
		w.subscribe(ctx)
		w.wait(ctx) // for the word that we are subscribed
		return watch.Follow(ctx, from, yield, func(from uint64) ([]store.Numbered, uint64, error) {
			marks, head, err := w.catchUp(ctx)
			// the journal begins anew above from, if it was lost
			return marks, max(head, from), err
		}, func(uint64) error {
			w.wait(ctx)
			return nil
		})
	})
}

// watcher is the state of one Watch. One goroutine uses it.
type watcher struct {
	journal *journal
	number  uint64 // the newest seen

	told   bool // the server announced that there may be something new
	broken bool // the subscription, when last waited on
	sub    *redis.PubSub
	unhook func() bool
}

func (w *watcher) subscribe(ctx context.Context) {
	w.stop()
	sub := w.journal.backend.client.Subscribe(ctx, w.journal.channel())
	w.sub = sub
	w.unhook = context.AfterFunc(ctx, func() { sub.Close() }) // ends a wait
}

func (w *watcher) stop() {
	if w.sub != nil {
		w.unhook()
		w.sub.Close()
	}
}

// catchUp returns the marks that are new, or the first of them, and the head. It fails only when the
// server fails twice in a row: the first time, the connection may have been lost while it was idle.
func (w *watcher) catchUp(ctx context.Context) ([]store.Numbered, uint64, error) {
	marks, head, err := w.journal.since(ctx, w.number, w.number)
	if err != nil {
		if marks, head, err = w.journal.since(ctx, w.number, w.number); err != nil {
			return nil, 0, err
		}
	}
	if len(marks) > 0 && !w.told && !w.broken {
		// the server's announcement did not come: the connection is dead and does not know it
		w.subscribe(ctx)
		w.told = true // once, however many parts there are
	}
	w.number = head
	if len(marks) > 0 {
		w.number = marks[len(marks)-1].Number
	}
	return marks, head, nil
}

// wait returns when there is a reason to look: the server announced a mark, the subscription began
// or was lost, a second has passed, or ctx is done.
func (w *watcher) wait(ctx context.Context) {
	wasBroken := w.broken
	w.told, w.broken = false, false
	said, err := w.receive(ctx)
	for err == nil && w.stale(said) {
		said, err = w.receive(ctx)
	}
	switch {
	case err == nil:
		w.told = true
	case isTimeout(err):
	default:
		w.broken = true // the client has tried to connect again
		if wasBroken {
			pause.For(ctx, watch.Anyway)
		}
	}
}

// touchEvery is how often a watcher touches the journal while values are set. A server that evicts
// what was used longest ago (allkeys-lru) counts seconds: as long as what it evicts was not used for
// a second or two, the journal stays.
const touchEvery = watch.Anyway / 5

// receive waits for what the server announces, for a second, and keeps the journal warm meanwhile.
func (w *watcher) receive(ctx context.Context) (said any, err error) {
	for range watch.Anyway / touchEvery {
		if said, err = w.sub.ReceiveTimeout(ctx, touchEvery); !isTimeout(err) {
			return said, err
		}
		if b := w.journal.backend; b.written.Swap(false) && ctx.Err() == nil {
			b.client.Touch(ctx, w.journal.key) // or the next look does
		}
	}
	return nil, err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// stale reports whether the server announced a mark that the watcher has seen already, with others.
func (w *watcher) stale(said any) bool {
	message, ok := said.(*redis.Message)
	if !ok {
		return false
	}
	number, err := strconv.ParseUint(message.Payload, 10, 64)
	return err == nil && number <= w.number
}
