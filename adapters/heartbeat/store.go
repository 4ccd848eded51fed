package heartbeat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/store"
)

// probePrefix begins the keys of the values that probes write.
const probePrefix = "freshet-heartbeat:"

// Store returns a probe of a store: it writes a value with a random key, reads it, removes it and
// checks that it is gone, as [store.Probe] does. It asks the server itself, not copies near in
// memory, and not the breaker that spares a sick server. So it writes even for a Cache that only
// reads (Options.ReadOnly): a store that takes nothing is not well.
//
// The probe is the method Health of the outermost wrapper that has one, as what open.URL returns;
// else [store.Probe] of the backend that [store.As] finds; else it tries the store with an entry.
//
// Store panics when s is nil.
func Store(s store.Store) Probe {
	if s == nil {
		panic("heartbeat: Store: the store is nil: give it the Cache's store")
	}
	type healthy interface {
		Health(context.Context) (store.Health, error)
	}
	if h, ok := store.As[healthy](s); ok {
		if b, ok := h.(store.Backend); ok {
			return Backend(b, probePrefix)
		}
		return func(ctx context.Context) error {
			_, err := h.Health(ctx)
			return err
		}
	}
	return func(ctx context.Context) error { return probe(ctx, s) }
}

// Backend returns a probe of a backend, by [store.Probe]. The keys of what it writes begin with
// prefix.
func Backend(b store.Backend, prefix string) Probe {
	return func(ctx context.Context) error {
		_, err := store.Probe(ctx, b, prefix)
		return err
	}
}

// probe tries a store that has no backend of bytes.
func probe(ctx context.Context, s store.Store) error {
	const lifetime = time.Minute
	key := probePrefix + rand.Text()
	e := &store.Entry{Key: key, Status: http.StatusOK, Header: http.Header{}, Body: []byte(key),
		Received: time.Now(), Retention: lifetime}
	if err := s.Set(ctx, key, e, lifetime); err != nil {
		return fmt.Errorf("heartbeat: set: %w", err)
	}
	got, err := s.Get(ctx, key)
	switch {
	case err != nil:
		return fmt.Errorf("heartbeat: get: %w", err)
	case string(got.Body) != key:
		return errors.New("heartbeat: get: not the entry that was just set")
	}
	if err := s.Delete(ctx, key); err != nil {
		return fmt.Errorf("heartbeat: delete: %w", err)
	}
	switch _, err = s.Get(ctx, key); {
	case err == nil:
		return errors.New("heartbeat: get after delete: the entry is still there")
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("heartbeat: get after delete: %w", err)
	}
	return nil
}
