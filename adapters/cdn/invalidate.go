package cdn

import (
	"context"
	"errors"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// OnInvalidate sends what a Cache invalidates to all targets: it is the Cache's
// Options.OnInvalidate. What the outbox refuses the log gets, at most once a minute where a host is
// not ours, since clients choose what Host they send. What it returns waits for the targets:
// Receipt.WaitInFront.
func (b *Outbox) OnInvalidate(
	ctx context.Context, what middleware.Invalidation,
) func(context.Context) error {
	ticket, err := b.Purge(ctx, Purge{Tags: what.Tags, URLs: what.URLs, Prefixes: what.Prefixes,
		All: what.All, Soft: what.Soft})
	if err != nil && b.tells(err) {
		b.options.Log.Error("cdn: caches in front may serve on what was invalidated", "error", err)
	}
	return func(ctx context.Context) error {
		if ticket == 0 {
			return err
		}
		return b.Wait(ctx, ticket)
	}
}

// tells reports whether the log is to have an error.
func (b *Outbox) tells(err error) bool {
	if !errors.Is(err, ErrForeignHost) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.foreign) < time.Minute {
		return false
	}
	b.foreign = now
	return true
}
