package cachekitstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// jsonHeader goes with a question whose body is JSON.
var jsonHeader = map[string]string{"Content-Type": "application/json"}

// TTL implements [store.TTLer], in whole seconds. The value of another program that has no end is a
// permanent error; what it gave a stale window has that to live, too.
func (b *Backend) TTL(ctx context.Context, key string) (time.Duration, error) {
	if err := driver.CheckKey("ttl", key); err != nil {
		return 0, err
	}
	a, err := b.ask(ctx, question{method: http.MethodGet, key: key, about: "ttl", wants: true})
	left, endless := int64(0), false
	switch {
	case err != nil:
	case a.Status == http.StatusOK:
		left, endless, err = parseTTL(a.Body)
	case a.Status == http.StatusNotFound:
		return 0, store.ErrNotFound
	default:
		err = httpclient.Unexpected(a)
	}
	switch {
	case err != nil:
		return 0, b.client.Fail(ctx, "ttl", key, err)
	case !endless:
		return lifetime.Of(left, time.Second), nil
	}
	// Servers say so of what is not there, too.
	found, err := b.exists(ctx, "ttl", key)
	if err == nil && found {
		err = driver.Refuse("ttl", key, "the value has no end: it is another program's")
	}
	if err == nil {
		err = store.ErrNotFound
	}
	return 0, err
}

// parseTTL reads how many seconds are left, 1 at least, or that there is no end.
func parseTTL(body []byte) (left int64, endless bool, err error) {
	var said struct {
		TTL *int64 `json:"ttl"`
	}
	switch err := json.Unmarshal(body, &said); {
	case err != nil || said.TTL != nil && *said.TTL < 0:
		return 0, false, httpclient.Odd("the answer is no lifetime")
	case said.TTL == nil:
		return 0, true, nil
	}
	return min(max(*said.TTL, 1), longest), false, nil
}

// Expire implements [store.Expirer], in whole seconds. It asks first whether there is a value,
// which the answer to the change does not tell. A ttl of more than 30 days counts as 30 days.
func (b *Backend) Expire(ctx context.Context, key string, ttl time.Duration) (existed bool, err error) {
	if err := driver.CheckKey("expire", key); err != nil {
		return false, err
	}
	existed, err = b.exists(ctx, "expire", key)
	switch {
	case err != nil:
		return false, err
	case ttl <= 0:
		return existed, b.remove(ctx, "expire", key)
	case !existed:
		return false, nil
	}
	a, err := b.ask(ctx, question{method: http.MethodPatch, key: key, about: "ttl",
		header: jsonHeader, body: fmt.Appendf(nil, `{"ttl":%d}`, seconds(ttl))})
	switch {
	case err != nil:
	case a.Status == http.StatusOK || a.Status == http.StatusNoContent:
		return true, nil
	case a.Status == http.StatusNotFound, a.Status == http.StatusConflict: // it is stale by now
		return false, nil
	default:
		err = httpclient.Unexpected(a)
	}
	return false, b.client.Fail(ctx, "expire", key, err)
}
