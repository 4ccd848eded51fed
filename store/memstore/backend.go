package memstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// Backend keeps bytes in memory: the [store.Backend] that needs no server, for tests, and to put what
// works on any backend (encryption, tiers, counters) before memory, too. A cache that only wants
// memory takes a [Store], which keeps entries as they are and is many times as fast.
//
// It holds copies of what it is given and gives copies out. It is bounded and evicts as a Store does. No
// call waits for anything; one whose context is done fails. It is safe for concurrent use.
type Backend struct {
	engine *engine[[]byte]
	leases leases

	mu       sync.Mutex
	journals map[string]*memjournal.Journal
}

var (
	_ store.Backend   = (*Backend)(nil)
	_ store.Local     = (*Backend)(nil)
	_ store.TTLer     = (*Backend)(nil)
	_ store.Expirer   = (*Backend)(nil)
	_ store.Flusher   = (*Backend)(nil)
	_ store.Lister    = (*Backend)(nil)
	_ store.Locker    = (*Backend)(nil)
	_ store.Journaler = (*Backend)(nil)

	_ store.ValueLimited = (*Backend)(nil)
)

// NewBackend returns an empty backend that holds at most maxBytes bytes: values, keys and the overhead of
// keeping them, but neither leases nor journals. 0 or less: DefaultBytes. A value of more than a quarter of
// that is refused. What [New] says of the garbage collector and of goroutines is true here as well.
func NewBackend(maxBytes int64) *Backend {
	return &Backend{engine: newEngine[[]byte](maxBytes), journals: map[string]*memjournal.Journal{}}
}

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
	// The limit is looked at before a copy is made of what is beyond it.
	if most := b.engine.limit - overhead - int64(len(key)); int64(len(value)) > most {
		b.engine.delete(key)
		return fail("set", key, fmt.Errorf("%w: %d bytes; at most %d are kept, a quarter of the bound", store.ErrTooLarge, len(value), most))
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

// Health implements [store.Backend]. A closed backend is not well.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	start := time.Now()
	h := store.Health{Backend: "memory", Details: map[string]string{
		"values":    strconv.Itoa(b.engine.len()),
		"bytes":     strconv.FormatInt(b.engine.bytes(), 10),
		"max_bytes": strconv.FormatInt(b.engine.bound, 10),
	}}
	h.Latency = time.Since(start)
	switch {
	case ctx.Err() != nil:
		return h, fail("health", "", fault.Ended(ctx, nil))
	case b.engine.closed.Load():
		return h, fail("health", "", fault.ErrClosed)
	}
	return h, nil
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
func (b *Backend) Expire(ctx context.Context, key string, ttl time.Duration) (existed bool, err error) {
	if err := begin(ctx, "expire", key); err != nil {
		return false, err
	}
	if ttl <= 0 {
		return b.engine.delete(key), nil
	}
	return b.engine.expire(key, ttl), nil
}

// Flush implements [store.Flusher].
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	if err := driver.CheckFlush(prefix); err != nil {
		return 0, err
	}
	for key, err := range b.List(ctx, prefix) {
		if err != nil {
			return removed, err
		}
		if b.engine.delete(key) {
			removed++
		}
	}
	return removed, nil
}

// List implements [store.Lister].
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if ctx.Err() != nil { // though there be nothing
			yield("", fail("list", prefix, fault.Ended(ctx, nil)))
			return
		}
		for key, it := range b.engine.cache.All() {
			if !strings.HasPrefix(key, prefix) || b.engine.clock.passed(it.deadline) {
				continue
			}
			if ctx.Err() != nil {
				yield("", fail("list", prefix, fault.Ended(ctx, nil)))
				return
			}
			if !yield(key, nil) {
				return
			}
		}
	}
}

// Journal implements [store.Journaler]: a [memjournal.Journal] for each prefix, which lives as long as the
// backend does. Its numbers begin at the time when it was first asked for, in microseconds.
func (b *Backend) Journal(prefix string) store.Journal {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.journals[prefix]
	if j == nil {
		j = memjournal.NewAfter(history.Begin(0))
		b.journals[prefix] = j
	}
	return j
}

// MaxValue implements [store.ValueLimited], for keys of any length.
func (b *Backend) MaxValue() int64 { return b.engine.limit - overhead - keys.MaxLen }

// Local implements [store.Local]: no call waits for anything.
func (b *Backend) Local() bool { return true }

// Len is the number of values kept.
func (b *Backend) Len() int { return b.engine.len() }

// Bytes is how many bytes the kept values take, by the count that the bound is held to.
func (b *Backend) Bytes() int64 { return b.engine.bytes() }

// Close drops all values and leases and ends the backend's goroutines. A closed backend keeps nothing, gives
// out no leases, and says so when asked for its Health. It returns nil, however often it is called.
func (b *Backend) Close() error {
	b.engine.close()
	b.leases.close()
	return nil
}

const driver = fault.Driver("memstore")

// begin returns why an operation on a key cannot begin, or nil. Each operation calls it first.
func begin(ctx context.Context, op, key string) error {
	if ended := fault.Ended(ctx, nil); ended != nil {
		return fail(op, key, ended)
	}
	return driver.CheckKey(op, key)
}

// fail returns an error of this backend. All of them are about the call or its context: memory is never unwell.
func fail(op, key string, err error) error {
	kind := store.KindOf(err)
	if kind == store.KindUnknown {
		kind = store.KindPermanent
	}
	return driver.Fail(op, key, kind, err)
}
