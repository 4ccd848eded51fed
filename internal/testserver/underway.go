package testserver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// WhileItComes has a call fail whose time is up after n bytes of its answer have come, and checks
// that its error matches store.ErrUnderway. A machine that is so busy that fewer have come by then
// gets more time.
func WhileItComes(tb testing.TB, p *FaultProxy, n int, call func(context.Context) error) {
	tb.Helper()
	var err error
	for patience := 100 * time.Millisecond; patience < time.Minute; patience *= 4 {
		p.HangAfter(n)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err = call(ctx)
		cancel()
		p.Drop()
		p.Pass()
		if errors.Is(err, store.ErrUnderway) {
			return
		}
	}
	tb.Errorf("of an answer of which %d bytes had come: %v", n, err)
}
