package requestlog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxClasses bounds how many classes of failure an OnError remembers. Beyond it they count as one.
const maxClasses = 1000

// OnError wraps a slog.Handler, for Options.Log of a Cache, so that an error tracker learns of
// failures:
//
//	log := slog.New(requestlog.OnError(handler, time.Minute, func(ctx context.Context, r slog.Record) {
//		sentry.CaptureMessage(r.Message)
//	}))
//
// It calls hook for records of slog.LevelError and above, before next gets them: at most once in
// every interval for each class of failure. A class is a message; the attributes do not count.
// every of 0 or less is a minute. The hook runs in the goroutine that logs, so it must not block,
// nor log by the same logger.
func OnError(
	next slog.Handler, every time.Duration, hook func(context.Context, slog.Record),
) slog.Handler {
	if every <= 0 {
		every = time.Minute
	}
	return &onError{next, &classes{every: every, last: map[string]time.Time{}}, hook}
}

type onError struct {
	slog.Handler
	classes *classes
	hook    func(context.Context, slog.Record)
}

// Handle implements slog.Handler.
func (h *onError) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError && h.classes.due(r.Message, time.Now()) {
		h.hook(ctx, r.Clone())
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *onError) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &onError{h.Handler.WithAttrs(attrs), h.classes, h.hook}
}

// WithGroup implements slog.Handler.
func (h *onError) WithGroup(name string) slog.Handler {
	return &onError{h.Handler.WithGroup(name), h.classes, h.hook}
}

// classes remembers when the hook was called last for each class.
type classes struct {
	every time.Duration

	mu   sync.Mutex
	last map[string]time.Time
}

// due reports whether the hook is to be called for a class, and notes that it is.
func (c *classes) due(class string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, known := c.last[class]
	if !known && len(c.last) >= maxClasses {
		class = ""
		last, known = c.last[class]
	}
	if known && now.Sub(last) < c.every {
		return false
	}
	c.last[class] = now
	return true
}
