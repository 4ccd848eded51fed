package httpstore

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// A value of ours on the server begins with ours and its end: the milliseconds of the Unix clock,
// in 8 bytes, the highest first. What begins otherwise is another program's.
const (
	ours     = "freshet\x01"
	noteSize = len(ours) + 8
)

// wireSize is how long a value is at most on the server.
func (c Config) wireSize() int64 { return int64(c.MaxItemSize) + int64(noteSize) }

// noted returns a value with its note, which ends a ttl after now.
func noted(value []byte, ttl time.Duration, now time.Time) []byte {
	b := make([]byte, 0, noteSize+len(value))
	b = append(b, ours...)
	end := now.UnixMilli() + lifetime.Units(ttl, time.Millisecond)
	return append(binary.BigEndian.AppendUint64(b, uint64(end)), value...)
}

// endOf returns when a value ends; false if it does not say, because it is another program's.
func endOf(b []byte) (end int64, ok bool) {
	if len(b) < noteSize || string(b[:len(ours)]) != ours {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b[len(ours):])), true
}

// ended reports whether a value has ended. Another program's has not.
func ended(b []byte, now time.Time) bool {
	end, ok := endOf(b)
	return ok && end <= now.UnixMilli()
}

// Get implements [store.Backend]. It returns what another program has put under the key as it is: a
// Store sees that it is no entry.
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := b.look(ctx, "get", key, 0)
	if err != nil {
		return nil, err
	}
	if _, ok := endOf(value); ok {
		value = value[noteSize:]
	}
	return value, nil
}

// look returns what lies under key, if it has not ended: its first bytes, or all if first is 0.
func (b *Backend) look(ctx context.Context, op, key string, first int64) ([]byte, error) {
	if err := driver.CheckKey(op, key); err != nil {
		return nil, err
	}
	a, err := b.ask(ctx, question{method: http.MethodGet, key: key, first: first})
	if err != nil {
		return nil, b.client.Fail(ctx, op, key, err)
	}
	switch a.Status {
	case http.StatusOK, http.StatusPartialContent:
	case http.StatusRequestedRangeNotSatisfiable: // there is a value, of no bytes
	case http.StatusNotFound, http.StatusGone:
		return nil, store.ErrNotFound
	default:
		return nil, b.client.Fail(ctx, op, key, httpclient.Unexpected(a))
	}
	if ended(a.Body, time.Now()) {
		return nil, store.ErrNotFound
	}
	return a.Body, nil
}

// Set implements [store.Backend]. It refuses a value of more than Config.MaxItemSize with a
// permanent error, and removes what was there; so it does when the server answers 413 or 507.
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := driver.CheckKey("set", key); err != nil {
		return err
	}
	if ttl <= 0 {
		_, err := b.remove(ctx, "set", key)
		return err
	}
	if len(value) > b.config.MaxItemSize {
		return b.instead(ctx, key, driver.Refuse("set", key, "%w: it has %d bytes, and "+
			"max_item_size=%d allows no more", store.ErrTooLarge, len(value), b.config.MaxItemSize))
	}
	err := b.put(ctx, "set", key, value, ttl)
	if errors.Is(err, store.ErrTooLarge) {
		return b.instead(ctx, key, err)
	}
	return err
}

// instead removes what lies under key, because it is not to be replaced, and returns why. The
// removal's error counts for more: what was there is there still.
func (b *Backend) instead(ctx context.Context, key string, why error) error {
	if _, err := b.remove(ctx, "set", key); err != nil {
		return err
	}
	return why
}

func (b *Backend) put(ctx context.Context, op, key string, value []byte, ttl time.Duration) error {
	a, err := b.ask(ctx, question{method: http.MethodPut, key: key,
		value: noted(value, ttl, time.Now()), ttl: lifetime.Units(ttl, time.Second)})
	if err != nil {
		return b.client.Fail(ctx, op, key, err)
	}
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return nil
	}
	return b.client.Fail(ctx, op, key, httpclient.Unexpected(a))
}

// Delete implements [store.Backend]. It looks at what it removes: some servers answer alike whether
// there was something or not, and what has ended does not count. Of two at once, both may report
// that there was a value.
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	_, err = b.look(ctx, "delete", key, int64(noteSize))
	switch {
	case err == store.ErrNotFound:
		return false, nil
	case err != nil:
		return false, err
	}
	return b.remove(ctx, "delete", key)
}

// remove deletes what lies under key, ended or not, and reports what the server says of whether
// there was something.
func (b *Backend) remove(ctx context.Context, op, key string) (existed bool, err error) {
	a, err := b.ask(ctx, question{method: http.MethodDelete, key: key})
	if err != nil {
		return false, b.client.Fail(ctx, op, key, err)
	}
	switch a.Status {
	case http.StatusOK, http.StatusNoContent:
		return true, nil
	case http.StatusNotFound, http.StatusGone:
		return false, nil
	}
	return false, b.client.Fail(ctx, op, key, httpclient.Unexpected(a))
}

// Exists implements [store.Backend]. It asks by HEAD, and for the value's first bytes where there
// is one: they have its end.
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	if err := driver.CheckKey("exists", key); err != nil {
		return false, err
	}
	a, err := b.ask(ctx, question{method: http.MethodHead, key: key})
	if err != nil {
		return false, b.client.Fail(ctx, "exists", key, err)
	}
	switch a.Status {
	case http.StatusOK, http.StatusNoContent:
	case http.StatusNotFound, http.StatusGone:
		return false, nil
	default:
		return false, b.client.Fail(ctx, "exists", key, httpclient.Unexpected(a))
	}
	if _, err = b.look(ctx, "exists", key, int64(noteSize)); err == store.ErrNotFound {
		return false, nil
	}
	return err == nil, err
}

// TTL implements [store.TTLer], to the millisecond. Another program's value is a permanent error:
// it does not tell when it ends.
func (b *Backend) TTL(ctx context.Context, key string) (time.Duration, error) {
	value, err := b.look(ctx, "ttl", key, int64(noteSize))
	if err != nil {
		return 0, err
	}
	end, ok := endOf(value)
	if !ok {
		return 0, driver.Refuse("ttl", key, "the value is another program's, and does not tell when "+
			"it ends")
	}
	left := end - time.Now().UnixMilli()
	if left <= 0 {
		return 0, store.ErrNotFound
	}
	return lifetime.Of(left, time.Millisecond), nil
}

// MaxValue implements [store.ValueLimited]. The server may take less.
func (b *Backend) MaxValue() int64 { return int64(b.config.MaxItemSize) }
