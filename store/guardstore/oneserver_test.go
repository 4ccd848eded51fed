package guardstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Errors of one of several servers open no breaker, for the others are well; the log hears of them.
// Those of the last one do.
func TestOneOfSeveralServersOpensNothing(t *testing.T) {
	sick := func(cause error) failingStore {
		return failingStore{&store.Error{Backend: "b", Op: "get", Kind: store.KindTimeout,
			Err: fmt.Errorf("server a:1: no answer: %w", cause)}}
	}
	inner := &struct{ store.Store }{sick(store.ErrOneServer)}
	var log bytes.Buffer
	s := New(inner, Options{Name: "memcached", Failures: 2,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 10 {
		if _, err := s.Get(t.Context(), "key"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Get: %v", err)
		}
	}
	if got := s.State(); got != StateClosed {
		t.Errorf("the breaker is %v", got)
	}
	if lines := strings.Count(log.String(), "server a:1"); lines != 1 {
		t.Errorf("%d lines about the server:\n%s", lines, &log)
	}
	inner.Store = sick(errors.New("nobody"))
	for range 2 {
		s.Get(t.Context(), "key")
	}
	if got := s.State(); got != StateOpen {
		t.Errorf("with no server left, the breaker is %v", got)
	}
}

type failingStore struct{ err error }

func (f failingStore) Get(context.Context, string) (*store.Entry, error) { return nil, f.err }
func (f failingStore) Set(context.Context, string, *store.Entry, time.Duration) error {
	return f.err
}
func (f failingStore) Delete(context.Context, string) error { return f.err }
