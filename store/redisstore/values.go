package redisstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// maxValue is the longest string that Redis keeps. A server may be set to take less
// (proto-max-bulk-len).
const maxValue = 512 << 20

// Get implements [store.Backend]. When another program keeps something else than a string under the
// key, Get fails with store.KindPermanent; Set and Delete remove it.
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	if err := driver.CheckKey("get", key); err != nil {
		return nil, err
	}
	value, err := b.client.Get(ctx, key).Bytes()
	if err == nil {
		return value, nil
	}
	if err == redis.Nil {
		return nil, store.ErrNotFound
	}
	return nil, fail(ctx, "get", key, err)
}

// Set implements [store.Backend]. When the server refuses the value, because it is too large or the
// server is full, Set fails and removes what was there before.
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := driver.CheckKey("set", key); err != nil {
		return err
	}
	if ttl <= 0 {
		return b.remove(ctx, "set", key)
	}
	if len(value) > maxValue {
		if err := b.remove(ctx, "set", key); err != nil {
			return err
		}
		return tooLarge(key, len(value), maxValue)
	}
	if !b.written.Load() {
		b.written.Store(true)
	}
	err := b.set(ctx, key, value, milliseconds(ttl))
	if err == nil || errors.Is(err, store.ErrTooLarge) {
		return err
	}
	return b.refused(ctx, key, err)
}

// set repeats a Set of what is large only when the server would take it: one that hangs up may mean
// the value.
func (b *Backend) set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if len(value) <= leastLimit {
		return b.client.Set(ctx, key, value, ttl).Err()
	}
	err := b.client.Set(context.WithValue(ctx, onlyOnce{}, true), key, value, ttl).Err()
	if err == nil || ctx.Err() != nil || isReply(err) && !strings.HasPrefix(err.Error(),
		"ERR Protocol error") {
		return err
	}
	if limit := b.limit(ctx); len(value) > limit {
		b.client.Del(ctx, key)
		return tooLarge(key, len(value), limit)
	}
	again, cancel, ok := anew(ctx, err)
	if !ok {
		return err
	}
	defer cancel()
	return b.client.Set(again, key, value, ttl).Err()
}

func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// refused returns the error of a Set that failed with err. If the server refused the value, it
// removes what was there before.
func (b *Backend) refused(ctx context.Context, key string, err error) error {
	if isReply(err) && (redis.IsOOMError(err) || kindOf(err) == store.KindPermanent) {
		b.client.Del(ctx, key) // the first error is the one to tell
	}
	return fail(ctx, "set", key, err)
}

// leastLimit is the least that a server can be set to take. Of a longer value it reads no more than
// the length, and hangs up, so that its answer, which says "Protocol error", is mostly lost.
const leastLimit = 1 << 20

// limit asks how much the server takes. One that does not say takes what Redis can.
func (b *Backend) limit(ctx context.Context) int {
	const name = "proto-max-bulk-len"
	said, err := b.client.ConfigGet(ctx, name).Result()
	if err != nil {
		return maxValue
	}
	if n, err := strconv.Atoi(said[name]); err == nil {
		return min(n, maxValue)
	}
	return maxValue
}

func tooLarge(key string, size, limit int) error {
	return driver.Refuse("set", key, "%w: %d bytes; the server takes at most %d", store.ErrTooLarge,
		size, limit)
}

// milliseconds returns ttl rounded up to Redis's unit; the very longest, of 292 years, down. Redis
// takes more.
func milliseconds(ttl time.Duration) time.Duration {
	return lifetime.Of(lifetime.Units(ttl, time.Millisecond), time.Millisecond)
}

func (b *Backend) remove(ctx context.Context, op, key string) error {
	if err := b.client.Del(ctx, key).Err(); err != nil {
		return fail(ctx, op, key, err)
	}
	return nil
}

// Delete implements [store.Backend].
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	if err := driver.CheckKey("delete", key); err != nil {
		return false, err
	}
	n, err := b.client.Del(ctx, key).Result()
	if err != nil {
		return false, fail(ctx, "delete", key, err)
	}
	return n > 0, nil
}

// Exists implements [store.Backend]. It fails where Get would, on what is no string.
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	if err := driver.CheckKey("exists", key); err != nil {
		return false, err
	}
	kind, err := b.client.Type(ctx, key).Result()
	if err != nil {
		return false, fail(ctx, "exists", key, err)
	}
	switch kind {
	case "string":
		return true, nil
	case "none":
		return false, nil
	}
	return false, driver.Refuse("exists", key, "the key holds a %.20s of another program", kind)
}

// forever is the lifetime of what has none: never a value of ours.
const forever = time.Duration(1<<63 - 1)

// TTL implements [store.TTLer].
func (b *Backend) TTL(ctx context.Context, key string) (time.Duration, error) {
	if err := driver.CheckKey("ttl", key); err != nil {
		return 0, err
	}
	left, err := b.client.PTTL(ctx, key).Result()
	switch {
	case err != nil:
		return 0, fail(ctx, "ttl", key, err)
	case left == -2:
		return 0, store.ErrNotFound
	case left < 0:
		return forever, nil
	}
	return max(left, time.Millisecond), nil
}

// Expire implements [store.Expirer].
func (b *Backend) Expire(
	ctx context.Context, key string, ttl time.Duration,
) (existed bool, err error) {
	if err := driver.CheckKey("expire", key); err != nil {
		return false, err
	}
	if ttl <= 0 {
		return b.Delete(ctx, key)
	}
	existed, err = b.client.PExpire(ctx, key, milliseconds(ttl)).Result()
	if err != nil {
		return false, fail(ctx, "expire", key, err)
	}
	return existed, nil
}
