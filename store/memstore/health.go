package memstore

import (
	"context"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// Health implements [store.Backend]. A closed backend is not well.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	start := time.Now()
	h := store.Health{Backend: "memory", Details: map[string]string{
		"values":    strconv.Itoa(b.engine.len()),
		"bytes":     strconv.FormatInt(b.engine.bytes(), 10),
		"max_bytes": strconv.FormatInt(b.engine.bound, 10),
	}}
	h.Latency = time.Since(start)
	switch {
	case ctx.Err() != nil:
		return h, fail("health", "", fault.Ended(ctx, nil))
	case b.engine.closed.Load():
		return h, fail("health", "", fault.ErrClosed)
	}
	return h, nil
}
