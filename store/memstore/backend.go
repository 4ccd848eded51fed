package memstore

import (
	"sync"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// Backend keeps bytes in memory: the [store.Backend] that needs no server, for tests, and to put
// what works on any backend (encryption, tiers, counters) before memory, too. A cache that only
// wants memory takes a [Store], which needs no encoding and is many times as fast.
//
// It stores and returns copies. It is bounded and evicts as a Store does. No
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

// NewBackend returns an empty backend that holds at most maxBytes bytes: values, keys and the
// overhead of keeping them, but neither leases nor journals. 0 or less: DefaultBytes. Set refuses a
// value of more than a quarter of that. What [New] says of the garbage collector and of goroutines
// is true here as well.
func NewBackend(maxBytes int64) *Backend {
	if maxBytes <= 0 {
		maxBytes = DefaultBytes
	}
	return &Backend{engine: newEngine[[]byte](maxBytes, maxBytes/4, newClock(), nil),
		journals: map[string]*memjournal.Journal{}}
}

// Journal implements [store.Journaler]: a [memjournal.Journal] for each prefix, which lives as long
// as the backend does. Its numbers begin at the time when it was first asked for, in microseconds.
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

// Local implements [store.Local]: no call waits for anything.
func (b *Backend) Local() bool { return true }

// Len returns the number of values.
func (b *Backend) Len() int { return b.engine.len() }

// Bytes returns how many bytes the values take, as they count towards the bound.
func (b *Backend) Bytes() int64 { return b.engine.bytes() }

// Close drops all values and leases and ends the backend's goroutines. A closed backend keeps
// nothing, gives out no leases, and says so when asked for its Health. It returns nil, however
// often it is called.
func (b *Backend) Close() error {
	b.engine.close()
	b.leases.close()
	return nil
}
