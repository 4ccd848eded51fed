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

// severalServers is a backend of which one server may go.
type severalServers struct {
	store.Store
	told func(server string, failing error)
}

func (s *severalServers) OnServer(f func(server string, failing error)) { s.told = f }

// Of several servers, the store leaves out by itself the one that does not answer: the breaker counts
// none of its errors, and the log hears when the server goes and when it is back.
func TestOneOfSeveralServersOpensNothing(t *testing.T) {
	failing := &store.Error{Backend: "b", Op: "get", Kind: store.KindTimeout,
		Err: fmt.Errorf("server a:1: no answer: %w", store.ErrOneServer)}
	inner := &severalServers{Store: failingStore{failing}}
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
	log.Reset()
	inner.told("a:1", failing)
	inner.told("a:1", nil)
	for _, words := range []string{"level=WARN msg=\"guardstore: memcached leaves out a server",
		"server=a:1", "level=INFO msg=\"guardstore: memcached uses a server again\""} {
		if !strings.Contains(log.String(), words) {
			t.Errorf("the log does not say %q:\n%s", words, &log)
		}
	}
	inner.Store = failingStore{&store.Error{Backend: "b", Op: "get", Kind: store.KindTimeout,
		Err: errors.New("no answer")}}
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
