package cachekitstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// TryLock implements [store.Locker], by the service's lock on the key of that name, which is apart
// from the value. A ttl of more than 30 days counts as 30 days.
func (b *Backend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if err := driver.CheckLease("lock", name, ttl); err != nil {
		return nil, false, err
	}
	ttl = min(ttl, longest*time.Second)
	asked := time.Now()
	a, err := b.ask(ctx, question{method: http.MethodPost, key: name, about: "lock", wants: true,
		header: jsonHeader,
		body:   fmt.Appendf(nil, `{"timeout_ms":%d}`, lifetime.Units(ttl, time.Millisecond))})
	id := ""
	switch {
	case err != nil:
	case a.Status == http.StatusOK:
		id, err = parseLock(a.Body)
	case a.Status == http.StatusConflict: // older servers say so of one that is held
		return nil, false, nil
	default:
		err = httpclient.Unexpected(a)
	}
	if err != nil {
		return nil, false, b.client.Fail(ctx, "lock", name, err)
	}
	if id == "" {
		return nil, false, nil
	}
	return &lease{b: b, name: name, id: id, ends: asked.Add(ttl)}, true, nil
}

// parseLock reads the ID of a lock that was taken; empty: somebody else holds it, which the service
// says by an ID that is null or missing. What is no ID is none.
func parseLock(body []byte) (id string, err error) {
	var said struct {
		ID any `json:"lock_id"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return "", httpclient.Odd("the answer says nothing of a lock")
	}
	id, _ = said.ID.(string)
	if len(id) > maxID || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", nil // it could not be sent back
	}
	return id, nil
}

// maxID is the length of the longest ID of a lock, in bytes.
const maxID = 1 << 10

// lease is a lock that is held until ends, by this process's clock: a little less long than by the
// service's.
type lease struct {
	b        *Backend
	name, id string
	ends     time.Time
	over     atomic.Bool
}

// Unlock implements [store.Lease]. The service does not tell whether the lock was still held: when
// its time is over by this process's clock, Unlock leaves it alone and reports false.
func (l *lease) Unlock(ctx context.Context) (held bool, err error) {
	if !time.Now().Before(l.ends) || l.over.Swap(true) {
		return false, nil
	}
	// In a field: what is in the query ends up in logs.
	a, err := l.b.ask(ctx, question{method: http.MethodDelete, key: l.name, about: "lock",
		header: map[string]string{"X-CacheKit-Lock-Id": l.id}})
	switch {
	case err != nil:
	case a.Status == http.StatusOK || a.Status == http.StatusNoContent:
		return time.Now().Before(l.ends), nil
	case a.Status == http.StatusNotFound, a.Status == http.StatusConflict:
		return false, nil
	default:
		err = httpclient.Unexpected(a)
	}
	l.over.Store(false) // another try may release it
	return false, l.b.client.Fail(ctx, "unlock", l.name, err)
}
