package cdn

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// hung notes that the store hangs, so that purges do not wait for it one after the other, each for
// Options.Timeout: a request that changes something waits for its purge. The keeper's goroutine
// alone then asks the store, once a second. A store that fails at once costs nobody any time, and
// is asked each time.
type hung struct {
	is    atomic.Bool
	again *time.Timer // when the store is to be asked
}

// askAgain is the pause between two questions to a store that hangs.
const askAgain = time.Second

var errHangs = errors.New("the store did not answer a call before in time, and is asked once a " +
	"second until it does")

func newHung() *hung {
	h := &hung{again: time.NewTimer(time.Hour)}
	h.again.Stop()
	return h
}

// call calls the store, unless it hangs.
func (k *keeper) call(ctx context.Context, do func(context.Context) error) error {
	if k.hung.is.Load() {
		return errHangs
	}
	return k.probe(ctx, do)
}

// probe calls the store, and notes whether it hangs: whether a call that failed has taken half of
// the Timeout or more.
func (k *keeper) probe(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, k.out.options.Timeout)
	defer cancel()
	began := time.Now()
	err := do(bounded)
	switch {
	case err == nil:
		k.hung.is.Store(false)
	case ctx.Err() != nil: // the caller's time was over
	case k.hung.is.Load(), time.Since(began) >= k.out.options.Timeout/2:
		k.hung.is.Store(true)
		k.hung.again.Reset(askAgain)
	}
	return err
}
