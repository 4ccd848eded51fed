package storetest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// mapBackend is the least that a custom backend needs: five methods over a map.
type mapBackend struct {
	mu     sync.Mutex
	values map[string]mapValue
}

type mapValue struct {
	bytes   []byte
	expires time.Time
}

func newMapBackend(*testing.T) store.Backend {
	return &mapBackend{values: map[string]mapValue{}}
}

func (m *mapBackend) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if !ok || !time.Now().Before(v.expires) {
		delete(m.values, key)
		return nil, store.ErrNotFound
	}
	return bytes.Clone(v.bytes), nil
}

func (m *mapBackend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if delete(m.values, key); ttl > 0 {
		m.values[key] = mapValue{bytes.Clone(value), time.Now().Add(ttl)}
	}
	return nil
}

func (m *mapBackend) Delete(ctx context.Context, key string) (bool, error) {
	existed, err := m.Exists(ctx, key)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
	return existed, nil
}

func (m *mapBackend) Exists(ctx context.Context, key string) (bool, error) {
	_, err := m.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (m *mapBackend) Health(ctx context.Context) (store.Health, error) {
	return store.Health{Backend: "map"}, ctx.Err()
}

func TestMapBackend(t *testing.T) {
	RunBackend(t, newMapBackend)
}

func TestMapBackendInVirtualTime(t *testing.T) {
	RunBackend(t, newMapBackend, Options{Virtual: true, TTL: time.Minute})
}

func TestMemoryJournal(t *testing.T) {
	newJournal := func(*testing.T) store.Journal { return memjournal.New() }
	RunJournal(t, newJournal)
	t.Run("in virtual time", func(t *testing.T) {
		RunJournal(t, newJournal, Options{Virtual: true})
	})
}

// tooMuch is what a limitedBackend refuses, in bytes.
const tooMuch = 2_000_000

// limitedBackend is mapBackend with a limit.
type limitedBackend struct{ store.Backend }

func newLimitedBackend(*testing.T) store.Backend { return limitedBackend{newMapBackend(nil)} }

func (l limitedBackend) Set(
	ctx context.Context, key string, value []byte, ttl time.Duration,
) error {
	if len(value) >= tooMuch {
		if _, err := l.Delete(ctx, key); err != nil {
			return err
		}
		return &store.Error{Backend: "limited", Op: "set", Key: key, Kind: store.KindPermanent,
			Err: store.ErrTooLarge}
	}
	return l.Backend.Set(ctx, key, value, ttl)
}

func TestLimitedBackend(t *testing.T) {
	RunBackend(t, newLimitedBackend, Options{Oversize: tooMuch})
}
