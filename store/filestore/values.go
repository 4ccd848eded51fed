package filestore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// Get implements [store.Backend].
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	if err := b.begin(ctx, "get", key); err != nil {
		return nil, err
	}
	f := b.folderOf(key)
	value, _, err := b.read(f, key, math.MaxInt64)
	if err != nil {
		return nil, missing("get", key, err)
	}
	return value, nil
}

// Exists implements [store.Backend]. It reads the value, so that it says what Get would.
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	if err := b.begin(ctx, "exists", key); err != nil {
		return false, err
	}
	_, _, err := b.read(b.folderOf(key), key, math.MaxInt64)
	if err == errAbsent {
		return false, nil
	}
	return err == nil, fail("exists", key, err)
}

// TTL implements [store.TTLer], to the millisecond.
func (b *Backend) TTL(ctx context.Context, key string) (time.Duration, error) {
	if err := b.begin(ctx, "ttl", key); err != nil {
		return 0, err
	}
	_, h, err := b.read(b.folderOf(key), key, int64(headerLen+len(key)))
	if err != nil {
		return 0, missing("ttl", key, err)
	}
	left := h.expires - time.Now().UnixMilli()
	return lifetime.Of(max(left, 1), time.Millisecond), nil
}

// errAbsent says that there is no value under a key.
var errAbsent = errors.New("absent")

// missing is the error of an operation that needs a value.
func missing(op, key string, err error) error {
	if err == errAbsent {
		return store.ErrNotFound
	}
	return fail(op, key, err)
}

// Set implements [store.Backend]. After an error there is no value under key, unless that could not
// be removed either.
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := b.begin(ctx, "set", key); err != nil {
		return err
	}
	f := b.folderOf(key)
	if ttl <= 0 {
		_, err := b.remove(f, key)
		return fail("set", key, err)
	}
	if size := int64(len(value)); size > b.config.MaxValue {
		err := fmt.Errorf("%w: %d bytes; max_value allows %d", store.ErrTooLarge, size,
			b.config.MaxValue)
		_, failed := b.remove(f, key)
		return driver.Refuse("set", key, "%w", errors.Join(err, failed))
	}
	size := onDisk(int64(headerLen + len(key) + len(value)))
	b.count.reserved.Add(size)
	defer b.count.reserved.Add(-size)
	err := b.makeRoom(ctx)
	if err == nil {
		err = b.write(f, key, value, time.Now(), ttl)
	}
	if err != nil {
		b.remove(f, key)
		return fail("set", key, err)
	}
	b.tell(time.Millisecond)
	return nil
}

// Delete implements [store.Backend].
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	if err := b.begin(ctx, "delete", key); err != nil {
		return false, err
	}
	f := b.folderOf(key)
	_, _, err = b.read(f, key, int64(headerLen+len(key)))
	removed, failed := b.remove(f, key)
	b.tell(time.Millisecond)
	return removed && err == nil, fail("delete", key, failed)
}

// Expire implements [store.Expirer]. It writes the file's header in place: a call that reads the
// header at that moment finds it damaged, waits for the lock that Expire holds, and reads again.
func (b *Backend) Expire(
	ctx context.Context, key string, ttl time.Duration,
) (existed bool, err error) {
	if ttl <= 0 {
		return b.Delete(ctx, key)
	}
	if err := b.begin(ctx, "expire", key); err != nil {
		return false, err
	}
	f := b.folderOf(key)
	if err := f.real(); err != nil {
		return false, fail("expire", key, err)
	}
	dir, err := b.openFolder(f)
	if err != nil {
		return false, fail("expire", key, err)
	}
	defer dir.Close()
	lock(ctx, dir, true, lockPatience)
	err = b.peek(f, key)
	if err == nil {
		err = b.rewrite(f, key, deadline(time.Now(), ttl))
	}
	if err == errAbsent {
		return false, nil
	}
	return err == nil, fail("expire", key, err)
}

// MaxValue implements [store.ValueLimited].
func (b *Backend) MaxValue() int64 { return b.config.MaxValue }
