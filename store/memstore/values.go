package memstore

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// Get implements [store.Backend].
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	if err := begin(ctx, "get", key); err != nil {
		return nil, err
	}
	it, ok := b.engine.get(key)
	if !ok {
		return nil, store.ErrNotFound
	}
	return bytes.Clone(it.value), nil
}

// Set implements [store.Backend].
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := begin(ctx, "set", key); err != nil {
		return err
	}
	if ttl <= 0 {
		b.engine.delete(key)
		return nil
	}
	// Check the limit before making a copy of what is beyond it.
	if most := b.engine.limit - overhead - int64(len(key)); int64(len(value)) > most {
		b.engine.delete(key)
		return fail("set", key, fmt.Errorf("%w: %d bytes; at most %d are kept, a quarter of the "+
			"bound", store.ErrTooLarge, len(value), most))
	}
	kept := make([]byte, len(value))
	copy(kept, value)
	b.engine.set(strings.Clone(key), kept, int64(len(key)+len(kept))+overhead, ttl)
	return nil
}

// Delete implements [store.Backend].
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	if err := begin(ctx, "delete", key); err != nil {
		return false, err
	}
	return b.engine.delete(key), nil
}

// Exists implements [store.Backend].
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	if err := begin(ctx, "exists", key); err != nil {
		return false, err
	}
	_, ok := b.engine.get(key)
	return ok, nil
}

// TTL implements [store.TTLer].
func (b *Backend) TTL(ctx context.Context, key string) (time.Duration, error) {
	if err := begin(ctx, "ttl", key); err != nil {
		return 0, err
	}
	if it, ok := b.engine.get(key); ok {
		if left := b.engine.left(it); left > 0 {
			return left, nil
		}
	}
	return 0, store.ErrNotFound
}

// Expire implements [store.Expirer].
func (b *Backend) Expire(
	ctx context.Context, key string, ttl time.Duration,
) (existed bool, err error) {
	if err := begin(ctx, "expire", key); err != nil {
		return false, err
	}
	if ttl <= 0 {
		return b.engine.delete(key), nil
	}
	return b.engine.expire(key, ttl), nil
}

// MaxValue implements [store.ValueLimited], for keys of any length.
func (b *Backend) MaxValue() int64 { return b.engine.limit - overhead - keys.MaxLen }
