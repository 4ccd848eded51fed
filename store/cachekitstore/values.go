package cachekitstore

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// longest is the longest lifetime that the service takes, in seconds: 30 days.
const longest = 2_592_000

// seconds returns a lifetime of more than 0 as the service takes it.
func seconds(ttl time.Duration) int64 { return min(lifetime.Units(ttl, time.Second), longest) }

// fresh reports whether the service labels a value as fresh. It labels none where it knows no stale
// ones; what is not exactly that label is stale.
func fresh(h http.Header) bool {
	labels := h.Values("X-CacheKit-Freshness")
	return len(labels) == 0 || len(labels) == 1 && labels[0] == "fresh"
}

// Get implements [store.Backend]. What the service labels stale is not found.
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	if err := driver.CheckKey("get", key); err != nil {
		return nil, err
	}
	a, err := b.ask(ctx, question{method: http.MethodGet, key: key, wants: true})
	switch {
	case err != nil:
		return nil, b.client.Fail(ctx, "get", key, err)
	case a.Status == http.StatusOK && fresh(a.Header):
		b.telemetry.hits.Add(1)
		return a.Body, nil
	case a.Status == http.StatusOK, a.Status == http.StatusNotFound:
		b.telemetry.misses.Add(1)
		return nil, store.ErrNotFound
	}
	return nil, b.client.Fail(ctx, "get", key, httpclient.Unexpected(a))
}

// Set implements [store.Backend]. A ttl of more than 30 days counts as 30 days. It refuses a value
// of more than Config.MaxItemSize with a permanent error, and removes what was there; so it does
// when the service answers that the value is too large.
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := driver.CheckKey("set", key); err != nil {
		return err
	}
	if ttl <= 0 {
		return b.remove(ctx, "set", key)
	}
	if len(value) > b.config.MaxItemSize {
		return b.instead(ctx, key, driver.Refuse("set", key, "%w: it has %d bytes, and "+
			"max_item_size=%d allows no more", store.ErrTooLarge, len(value), b.config.MaxItemSize))
	}
	text := strconv.FormatInt(seconds(ttl), 10)
	err := b.expect(ctx, "set", question{method: http.MethodPut, key: key, body: value,
		header: map[string]string{"Content-Type": "application/octet-stream",
			"X-CacheKit-TTL": text, "X-TTL": text}}, // the second for servers of before its time
		http.StatusOK, http.StatusCreated, http.StatusNoContent)
	if errors.Is(err, store.ErrTooLarge) {
		return b.instead(ctx, key, err)
	}
	return err
}

// expect asks and returns an error unless the answer has one of the statuses.
func (b *Backend) expect(ctx context.Context, op string, q question, statuses ...int) error {
	a, err := b.ask(ctx, q)
	if err == nil && !slices.Contains(statuses, a.Status) {
		err = httpclient.Unexpected(a)
	}
	if err != nil {
		return b.client.Fail(ctx, op, q.key, err)
	}
	return nil
}

// instead removes what lies under key, because it is not to be replaced, and returns why. The
// removal's error counts for more: what was there is there still.
func (b *Backend) instead(ctx context.Context, key string, why error) error {
	if err := b.remove(ctx, "set", key); err != nil {
		return err
	}
	return why
}

// remove removes what lies under key. The service answers alike whether there was something or not.
func (b *Backend) remove(ctx context.Context, op, key string) error {
	return b.expect(ctx, op, question{method: http.MethodDelete, key: key},
		http.StatusOK, http.StatusNoContent, http.StatusNotFound)
}

// exists reports whether there is a value that is not stale.
func (b *Backend) exists(ctx context.Context, op, key string) (bool, error) {
	a, err := b.ask(ctx, question{method: http.MethodHead, key: key})
	switch {
	case err != nil:
	case a.Status == http.StatusOK:
		return fresh(a.Header), nil
	case a.Status == http.StatusNotFound:
		return false, nil
	default:
		err = httpclient.Unexpected(a)
	}
	return false, b.client.Fail(ctx, op, key, err)
}

// Exists implements [store.Backend].
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	if err := driver.CheckKey("exists", key); err != nil {
		return false, err
	}
	return b.exists(ctx, "exists", key)
}

// Delete implements [store.Backend]. It asks first whether there is a value, which the answer to a
// removal does not tell. Of two at once, both may report that there was one.
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	if err := driver.CheckKey("delete", key); err != nil {
		return false, err
	}
	if existed, err = b.exists(ctx, "delete", key); err != nil {
		return false, err
	}
	if err := b.remove(ctx, "delete", key); err != nil {
		return false, err
	}
	return existed, nil
}

// MaxValue implements [store.ValueLimited]. The service may take less.
func (b *Backend) MaxValue() int64 { return int64(b.config.MaxItemSize) }
