package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// fullBackend is mapBackend with every ability.
type fullBackend struct {
	*mapBackend

	mu       sync.Mutex
	migrated bool
	leases   map[string]heldLease
	journals map[string]*memjournal.Journal
}

type heldLease struct {
	token   string
	expires time.Time
}

func newFullBackend(*testing.T) store.Backend { return newFull(true) }

func newUnmigratedBackend(*testing.T) store.Backend { return newFull(false) }

func newFull(migrated bool) *fullBackend {
	return &fullBackend{
		mapBackend: newMapBackend(nil).(*mapBackend), migrated: migrated,
		leases: map[string]heldLease{}, journals: map[string]*memjournal.Journal{},
	}
}

func (f *fullBackend) ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.migrated {
		return errors.New("no such table")
	}
	return nil
}

func (f *fullBackend) Get(ctx context.Context, key string) ([]byte, error) {
	if err := f.ready(); err != nil {
		return nil, err
	}
	return f.mapBackend.Get(ctx, key)
}

func (f *fullBackend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := f.ready(); err != nil {
		return err
	}
	return f.mapBackend.Set(ctx, key, value, ttl)
}

func (f *fullBackend) TTL(ctx context.Context, key string) (time.Duration, error) {
	if _, err := f.Get(ctx, key); err != nil {
		return 0, err
	}
	f.mapBackend.mu.Lock()
	defer f.mapBackend.mu.Unlock()
	return time.Until(f.values[key].expires), nil
}

func (f *fullBackend) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	f.mapBackend.mu.Lock()
	defer f.mapBackend.mu.Unlock()
	v, ok := f.values[key]
	if !ok || !time.Now().Before(v.expires) {
		return false, nil
	}
	if v.expires = time.Now().Add(ttl); ttl <= 0 {
		delete(f.values, key)
		return true, nil
	}
	f.values[key] = v
	return true, nil
}

func (f *fullBackend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if prefix == "" {
		return 0, errors.New("a prefix is needed")
	}
	for key, err := range f.List(ctx, prefix) {
		if err != nil {
			return removed, err
		}
		if _, err := f.Delete(ctx, key); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

func (f *fullBackend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		var keys []string
		f.mapBackend.mu.Lock()
		for key, v := range f.values {
			if strings.HasPrefix(key, prefix) && time.Now().Before(v.expires) {
				keys = append(keys, key)
			}
		}
		f.mapBackend.mu.Unlock()
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
	}
}

func (f *fullBackend) Migrate(ctx context.Context, dryRun bool) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil || f.migrated {
		return nil, ctx.Err()
	}
	f.migrated = !dryRun
	return []string{"create the table"}, nil
}

func (f *fullBackend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if ttl <= 0 {
		return nil, false, fmt.Errorf("a lease for %v", ttl)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if l, ok := f.leases[name]; ok && time.Now().Before(l.expires) {
		return nil, false, nil
	}
	l := heldLease{rand.Text(), time.Now().Add(ttl)}
	f.leases[name] = l
	return fullLease{f, name, l.token}, true, nil
}

type fullLease struct {
	backend     *fullBackend
	name, token string
}

func (l fullLease) Unlock(context.Context) (bool, error) {
	l.backend.mu.Lock()
	defer l.backend.mu.Unlock()
	held := l.backend.leases[l.name]
	if held.token != l.token || !time.Now().Before(held.expires) {
		return false, nil
	}
	delete(l.backend.leases, l.name)
	return true, nil
}

func (f *fullBackend) Journal(prefix string) store.Journal {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.journals[prefix] == nil {
		f.journals[prefix] = memjournal.NewAfter(uint64(time.Now().UnixMicro()))
	}
	return f.journals[prefix]
}

func TestFullBackend(t *testing.T) {
	RunBackend(t, newFullBackend, Options{AllAbilities: true, Unmigrated: newUnmigratedBackend})
}

func TestFullBackendInVirtualTime(t *testing.T) {
	RunBackend(t, newFullBackend, Options{AllAbilities: true, Unmigrated: newUnmigratedBackend,
		Virtual: true, TTL: time.Minute})
}
