package storetest

import (
	"context"
	"iter"
	"time"

	"github.com/freshet-go/freshet/store"
)

// bentFull is a fullBackend with some abilities bent out of shape.
type bentFull struct {
	*fullBackend
	get     func(f *fullBackend, key string) ([]byte, error)
	set     func(f *fullBackend, key string, value []byte, ttl time.Duration) error
	ttl     func(f *fullBackend, key string) (time.Duration, error)
	expire  func(f *fullBackend, key string, ttl time.Duration) (bool, error)
	flush   func(f *fullBackend, prefix string) (int64, error)
	list    func(f *fullBackend, prefix string, yield func(string, error) bool)
	lock    func(f *fullBackend, name string, ttl time.Duration) (store.Lease, bool, error)
	journal func(f *fullBackend, prefix string) store.Journal
	migrate func(f *fullBackend, dryRun bool) ([]string, error)
}

func (b bentFull) Get(ctx context.Context, key string) ([]byte, error) {
	if b.get != nil {
		return b.get(b.fullBackend, key)
	}
	return b.fullBackend.Get(ctx, key)
}

func (b bentFull) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if b.set != nil {
		return b.set(b.fullBackend, key, value, ttl)
	}
	return b.fullBackend.Set(ctx, key, value, ttl)
}

func (b bentFull) TTL(ctx context.Context, key string) (time.Duration, error) {
	if b.ttl != nil {
		return b.ttl(b.fullBackend, key)
	}
	return b.fullBackend.TTL(ctx, key)
}

func (b bentFull) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	if b.expire != nil {
		return b.expire(b.fullBackend, key, ttl)
	}
	return b.fullBackend.Expire(ctx, key, ttl)
}

func (b bentFull) Flush(ctx context.Context, prefix string) (int64, error) {
	if b.flush != nil {
		return b.flush(b.fullBackend, prefix)
	}
	return b.fullBackend.Flush(ctx, prefix)
}

func (b bentFull) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if b.list != nil {
		return func(yield func(string, error) bool) { b.list(b.fullBackend, prefix, yield) }
	}
	return b.fullBackend.List(ctx, prefix)
}

func (b bentFull) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if b.lock != nil {
		return b.lock(b.fullBackend, name, ttl)
	}
	return b.fullBackend.TryLock(ctx, name, ttl)
}

func (b bentFull) Journal(prefix string) store.Journal {
	if b.journal != nil {
		return b.journal(b.fullBackend, prefix)
	}
	return b.fullBackend.Journal(prefix)
}

func (b bentFull) Migrate(ctx context.Context, dryRun bool) ([]string, error) {
	if b.migrate != nil {
		return b.migrate(b.fullBackend, dryRun)
	}
	return b.fullBackend.Migrate(ctx, dryRun)
}

// abilityFaults are finder's, for the rules of an ability. Each starts from a backend that is
// migrated.
type abilityFaults[A any] struct{ finder[able[A]] }

func (f *abilityFaults[A]) bend(name, rule string, bend func() bentFull) {
	f.add(name, rule, func() able[A] {
		b := bend()
		if b.fullBackend == nil {
			b.fullBackend = newFull(true)
		}
		can, _ := store.As[A](b)
		return able[A]{b, can}
	})
}

// like lists keys as SQL's LIKE does, for which _ is any character.
func like(f *fullBackend, prefix string, yield func(string, error) bool) {
	var keys []string
	f.mapBackend.mu.Lock()
	for key := range f.values {
		matches := len(key) >= len(prefix)
		for i := 0; matches && i < len(prefix); i++ {
			matches = prefix[i] == '_' || prefix[i] == key[i]
		}
		if matches {
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

// flushBy makes a Flush of a List.
func flushBy(
	list func(f *fullBackend, prefix string, yield func(string, error) bool),
) func(*fullBackend, string) (int64, error) {
	return func(f *fullBackend, prefix string) (removed int64, err error) {
		list(f, prefix, func(key string, _ error) bool {
			f.Delete(context.Background(), key)
			removed++
			return true
		})
		return removed, nil
	}
}
