package memcachestore

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// The flags of our items say what they are. Items with other flags are another program's.
const (
	wholeValue = 0x46720001 // its end, and the value
	manifest   = 0x46720002 // its end, and where the value's parts are; see split.go
	part       = 0x46720003
	leaseToken = 0x46720004

	memberListItem = 0x46720005
	memberItem     = 0x46720006
	seatItem       = 0x46720007
)

// appendEnd begins an item's value: with the time after ttl in milliseconds of the Unix clock.
func appendEnd(b []byte, ttl time.Duration, now time.Time) []byte {
	end := now.UnixMilli() + lifetime.Units(ttl, time.Millisecond)
	return binary.BigEndian.AppendUint64(b, uint64(end))
}

// endOf is when an item ends; false if it does not say, because it is another program's.
func endOf(item *memcache.Item) (end int64, ok bool) {
	if item.Flags != wholeValue && item.Flags != manifest || len(item.Value) < endSize {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(item.Value)), true
}

// item returns what lies under key, if it has not ended; store.ErrNotFound otherwise.
func (b *Backend) item(ctx context.Context, op, key string) (*memcache.Item, error) {
	if err := driver.CheckKey(op, key); err != nil {
		return nil, err
	}
	var item *memcache.Item
	err := b.call(ctx, op, key, repeated, func(c *memcache.Client) (err error) {
		item, err = c.Get(key)
		return err
	})
	switch err {
	case nil:
	case memcache.ErrCacheMiss:
		return nil, store.ErrNotFound
	default:
		return nil, err
	}
	if end, ok := endOf(item); ok && end <= time.Now().UnixMilli() {
		return nil, store.ErrNotFound
	}
	return item, nil
}

// Get implements [store.Backend]. It returns what another program has put under the key as it is: a
// Store sees that it is no entry.
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	return b.read(ctx, "get", key)
}

func (b *Backend) read(ctx context.Context, op, key string) ([]byte, error) {
	item, err := b.item(ctx, op, key)
	if err != nil {
		return nil, err
	}
	switch _, ours := endOf(item); {
	case !ours:
		return item.Value, nil
	case item.Flags == manifest:
		return b.join(ctx, op, item)
	}
	return item.Value[endSize:], nil
}

// Set implements [store.Backend]. It refuses a value that does not fit Config.MaxItemSize with a
// permanent error, or splits it. When Set fails, it tries to remove what was there before.
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := driver.CheckKey("set", key); err != nil {
		return err
	}
	if ttl <= 0 {
		_, err := b.remove(ctx, "set", key)
		return err
	}
	if len(value) > b.config.room() {
		return b.setOversize(ctx, key, value, ttl)
	}
	now := time.Now()
	item := &memcache.Item{Key: key, Flags: wholeValue, Expiration: expiration(ttl, now)}
	item.Value = append(appendEnd(make([]byte, 0, endSize+len(value)), ttl, now), value...)
	return b.put(ctx, key, item)
}

// put stores an item of the value under key. If it cannot, it tries to remove the value that was
// there.
func (b *Backend) put(ctx context.Context, key string, item *memcache.Item) error {
	err := b.call(ctx, "set", item.Key, repeated, func(c *memcache.Client) error {
		return c.Set(item)
	})
	if err == nil {
		return nil
	}
	if !fault.Made(err) { // the server said that it did not store, which it never says of set
		err = b.fail(ctx, "set", key, b.servers.pick(item.Key), err)
	}
	if ctx.Err() == nil {
		_, _ = b.remove(ctx, "set", key)
	}
	return err
}

func (b *Backend) setOversize(
	ctx context.Context, key string, value []byte, ttl time.Duration,
) error {
	if most := b.config.room(); b.config.Oversize == OversizeRefuse {
		// The removal's error counts for more: what was there is there still.
		if _, err := b.remove(ctx, "set", key); err != nil {
			return err
		}
		return driver.Refuse("set", key, "%w: it has %d bytes, and with max_item_size=%d at most "+
			"%d fit; "+
			"oversize=split would spread it over several items", store.ErrTooLarge, len(value),
			b.config.MaxItemSize, most)
	}
	return b.setSplit(ctx, key, value, ttl)
}

// Delete implements [store.Backend]. It reads what it removes, to tell whether that had ended.
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	item, err := b.item(ctx, "delete", key)
	switch {
	case err == store.ErrNotFound:
		return false, nil
	case err != nil:
		return false, err
	}
	if existed, err = b.remove(ctx, "delete", key); err == nil {
		b.removeParts(ctx, item)
	}
	return existed, err
}

// remove deletes one item, ended or not, and reports whether there was one.
func (b *Backend) remove(ctx context.Context, op, key string) (removed bool, err error) {
	err = b.call(ctx, op, key, repeated, func(c *memcache.Client) error { return c.Delete(key) })
	switch {
	case err == nil:
		return true, nil
	case fault.Made(err):
		return false, err
	}
	return false, nil
}

// Exists implements [store.Backend]. It costs what Get costs: the protocol has no question for an
// item's end without its value.
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	_, err := b.read(ctx, "exists", key)
	if err == store.ErrNotFound {
		return false, nil
	}
	return err == nil, err
}

// TTL implements [store.TTLer], to the millisecond. Another program's value is a permanent error:
// Memcached does not tell when that ends.
func (b *Backend) TTL(ctx context.Context, key string) (time.Duration, error) {
	item, err := b.item(ctx, "ttl", key)
	if err != nil {
		return 0, err
	}
	end, ok := endOf(item)
	if !ok {
		return 0, driver.Refuse("ttl", key, "the value is another program's: nobody knows when "+
			"it ends")
	}
	left := end - time.Now().UnixMilli()
	if left <= 0 {
		return 0, store.ErrNotFound
	}
	return lifetime.Of(left, time.Millisecond), nil
}

// Expire implements [store.Expirer]. It reads the value and writes it back with its new end, unless
// another call has replaced or removed it in between: then it is as if that call had come last.
func (b *Backend) Expire(
	ctx context.Context, key string, ttl time.Duration,
) (existed bool, err error) {
	if ttl <= 0 {
		return b.Delete(ctx, key)
	}
	item, err := b.item(ctx, "expire", key)
	switch {
	case err == store.ErrNotFound:
		return false, nil
	case err != nil:
		return false, err
	}
	now := time.Now()
	item.Expiration = expiration(ttl, now)
	if before, ours := endOf(item); ours {
		appendEnd(item.Value[:0], ttl, now)
		if after, _ := endOf(item); after > before {
			if err := b.touchParts(ctx, item); err != nil {
				return true, err
			}
		}
	}
	err = b.call(ctx, "expire", key, once, func(c *memcache.Client) error {
		return c.CompareAndSwap(item)
	})
	if fault.Made(err) {
		return true, err
	}
	return true, nil
}

// MaxValue implements [store.ValueLimited]: what fits one item, or as many as a value is split
// into.
func (b *Backend) MaxValue() int64 {
	most := int64(b.config.room())
	if b.config.Oversize != OversizeRefuse {
		most *= maxParts
	}
	return most
}
