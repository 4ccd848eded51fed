// Package sealedstore encrypts what a backend keeps: values, the texts of keys, the marks of its
// journal and the names of its leases. Who reads the server's memory, its files or its backups
// finds no byte of a page, a URL or a header; who writes to them can remove what is there, and
// bring back what was there, but not alter it, nor put one page in the place of another.
//
//	key, err := sealedstore.ParseKey(os.Getenv("FRESHET_MASTER_KEY"))
//	if err != nil {
//		return err
//	}
//	b, err := sealedstore.New(inner, sealedstore.Options{
//		Keys: sealedstore.Keys{Key: key}, Prefixes: []string{"blog:"},
//	})
//	if err != nil {
//		return err
//	}
//	pages := store.New(b, store.Options{Prefix: "blog:"})
//
// Package open does this for a URL with the option encryption_key.
//
// # What is sealed, and how
//
// Each value is sealed by AES-256-GCM, under a key of its own that HKDF-SHA256 derives from the
// master key and 32 random bytes, so that no number of values is too many. What a value lies under
// is authenticated with it: the envelope's version, the ID of the master key, the prefix, and the
// whole key. In the place of the key's text stands an HMAC-SHA256 of it, cut to 24 bytes.
//
// A mark's kind and name are sealed in the same way, and lie in the journal as the name of a soft
// store.MarkEverything: a process without the keys that reads it holds everything for stale. A mark
// that does not open counts as a hard MarkEverything: what a process without the keys invalidates is
// not lost. A barrier or a notice that does not open counts as a barrier.
//
// # What is not
//
// In the clear are the prefixes of Options.Prefixes, the prefix of a journal, how long a value is
// and lives, how often it is read, that there are marks, barriers and notices and when, and the list of processes that
// follow a journal: random IDs, and the names that people gave their processes. What lies in the
// memory of this process is in the clear, as is what its near tier keeps. Whoever can write to the
// server can still remove values and marks, and put an older value or mark of the same key in the
// place of a newer one.
package sealedstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// Options are the settings of a Backend.
type Options struct {
	// Keys are the master keys. Keys.Key is required.
	Keys Keys
	// Prefixes begin keys, and stay in the clear: the store.Options.Prefix of each Store over the
	// Backend. So the server itself removes what lies under one of them, and tools can tell apart
	// what is whose. Each is 1 to 136 bytes of [A-Za-z0-9_.:-]. Keys that begin with none of them
	// lie under "freshet-sealed:". Default: none.
	Prefixes []string
	// OnFault, when not nil, hears of each value and each mark that did not open. Calls may come
	// from many goroutines at once, and the caller of the Backend waits for them. Default: they are
	// only counted.
	OnFault func(Fault)
}

// Backend seals what it gives to another backend. Its abilities are those of the other that can do
// their work on what is sealed; store.As finds them, and an assertion of the type does not:
//
//   - store.TTLer, Expirer, Locker, Migrator, Journaler with Membership, ValueLimited, Local: as
//     those of the other;
//   - store.Flusher: the other removes what lies under one of Options.Prefixes by itself. Of any
//     other prefix, it lists the keys and the Backend reads each value, to learn its key;
//   - store.Lister: it reads every value under the prefix, to learn its key;
//   - store.Encrypted: it counts what did not open, for metrics;
//   - store.ValueSweeper: it reads 8.6 KiB of each value where fewer are asked for, and the whole
//     value where more than 8 KiB are.
//
// Other abilities are not found, since they would work on what is sealed.
//
// A value that does not open is a miss, which is counted and told to Options.OnFault. What Flush,
// List and SweepValues come upon and cannot open they leave alone, and do not count: several stores
// with keys of their own may share a server.
//
// It is safe for concurrent use.
type Backend struct {
	inner  store.Backend
	rings  rings
	spaces []string // the longest first; the last one is for other keys
	faults faults
	can    any // the abilities, for store.As
}

var (
	_ store.Backend   = (*Backend)(nil)
	_ store.Encrypted = (*Backend)(nil)
)

const driver = fault.Driver("sealedstore")

// New returns a Backend over inner, which the caller closes. It refuses Keys and Prefixes that are
// not allowed. It calls no server.
func New(inner store.Backend, o Options) (*Backend, error) {
	if inner == nil {
		return nil, errors.New("sealedstore: New: the inner backend is nil")
	}
	if err := o.Keys.Validate(); err != nil {
		return nil, err
	}
	spaces, err := spacesOf(o.Prefixes)
	if err != nil {
		return nil, err
	}
	b := &Backend{inner: inner, spaces: spaces, faults: faults{hear: o.OnFault}}
	for _, k := range slices.Concat([]Key{o.Keys.Key}, o.Keys.Old) {
		b.rings = append(b.rings, newRing(k))
	}
	b.can = b.abilities()
	return b, nil
}

// Unwrap returns the abilities of the Backend, for store.As.
func (b *Backend) Unwrap() any { return b.can }

// Get implements [store.Backend].
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	if err := driver.CheckKey("get", key); err != nil {
		return nil, err
	}
	space := b.space(key)
	for _, r := range b.rings {
		sealed, err := b.inner.Get(ctx, space+r.locate(nameOfValue, key).name())
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		value, err := b.openAt(r, space, key, sealed)
		if err != nil {
			b.faults.heard(key, err)
			return nil, store.ErrNotFound
		}
		return value, nil
	}
	return nil, store.ErrNotFound
}

// openAt opens the value of a key that lies where this ring puts it. What another ring has sealed
// does not open.
func (b *Backend) openAt(r *ring, space, key string, sealed []byte) ([]byte, error) {
	h, err := parse(sealed, entryHead)
	if err != nil {
		return nil, err
	}
	if _, err := b.rings.of(h.id); err != nil {
		return nil, err
	}
	o, err := r.open(h, space, sealed, int64(len(sealed)))
	if err != nil {
		return nil, err
	}
	if string(o.key) != key {
		return nil, errAltered
	}
	return o.value, nil
}

// Set implements [store.Backend]. It removes what lies under an old key.
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := driver.CheckKey("set", key); err != nil {
		return err
	}
	space, r := b.space(key), b.rings[0]
	at := r.locate(nameOfValue, key)
	var sealed []byte
	if ttl > 0 {
		sealed = r.seal(space, key, at, value)
	}
	err := b.inner.Set(ctx, space+at.name(), sealed, ttl)
	if err != nil && !errors.Is(err, store.ErrTooLarge) {
		return err
	}
	// Afterwards, so that of two processes which seal with different keys at once none keeps a value
	// that the other does not see.
	for _, old := range b.rings[1:] {
		if _, err := b.inner.Delete(ctx, space+old.locate(nameOfValue, key).name()); err != nil {
			return err
		}
	}
	return err
}

// each calls do with every name that the key may have on the server, and reports whether one of
// them existed.
func (b *Backend) each(
	op, key string, do func(name string) (existed bool, err error),
) (existed bool, err error) {
	if err := driver.CheckKey(op, key); err != nil {
		return false, err
	}
	space := b.space(key)
	for _, r := range b.rings {
		did, err := do(space + r.locate(nameOfValue, key).name())
		if err != nil {
			return false, err
		}
		existed = existed || did
	}
	return existed, nil
}

// Delete implements [store.Backend].
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	return b.each("delete", key, func(name string) (bool, error) {
		return b.inner.Delete(ctx, name)
	})
}

// Exists implements [store.Backend]. It reads the value, so that it says what Get would.
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	_, err := b.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if e, ok := errors.AsType[*store.Error](err); ok { // which says that it was a get
		said := *e
		said.Op = "exists"
		err = &said
	}
	return err == nil, err
}

// Health implements [store.Backend]. Its Details have the keys' IDs, and how much did not open.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	h, err := b.inner.Health(ctx)
	details := map[string]string{
		"encryption": fmt.Sprintf("AES-256-GCM, key %s", b.rings[0].shownID()),
	}
	if old := ids(b.rings[1:]); old != "" {
		details["encryption"] += ", reads " + old
	}
	if n := b.Faults().Sum(); n > 0 {
		details["encryption_faults"] = fmt.Sprint(n)
	}
	for name, text := range h.Details {
		details[name] = text
	}
	h.Details = details
	return h, err
}
