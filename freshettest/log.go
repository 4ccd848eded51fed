package freshettest

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// Log returns a logger for freshet.Options.Log that fails the test for warnings and errors: advice
// about the wiring, a store that fails, a handler that panicked. What is less it gives to the
// test's own log. It is safe for concurrent use until the test has ended: shut the Cache down
// before that.
func Log(t testing.TB) *slog.Logger {
	lines := &testLines{t: t}
	return slog.New(&testLog{slog.NewTextHandler(&lines.room, &slog.HandlerOptions{Level: slog.LevelDebug}), lines})
}

// testLog is the handler of Log. Its Handler writes into the room of its lines.
type testLog struct {
	slog.Handler
	lines *testLines
}

// testLines are the lines of a test.
type testLines struct {
	t    testing.TB
	mu   sync.Mutex
	room bytes.Buffer // of the line that is being written
}

// Handle implements slog.Handler.
func (l *testLog) Handle(ctx context.Context, r slog.Record) error {
	l.lines.t.Helper()
	text, err := l.text(ctx, r)
	if r.Level >= slog.LevelWarn {
		l.lines.t.Errorf("freshettest: the log says: %s", text)
	} else {
		l.lines.t.Log(text)
	}
	return err
}

func (l *testLog) text(ctx context.Context, r slog.Record) (string, error) {
	l.lines.mu.Lock()
	defer l.lines.mu.Unlock()
	l.lines.room.Reset()
	err := l.Handler.Handle(ctx, r)
	return strings.TrimSpace(l.lines.room.String()), err
}

// WithAttrs implements slog.Handler.
func (l *testLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &testLog{l.Handler.WithAttrs(attrs), l.lines}
}

// WithGroup implements slog.Handler.
func (l *testLog) WithGroup(name string) slog.Handler {
	return &testLog{l.Handler.WithGroup(name), l.lines}
}
