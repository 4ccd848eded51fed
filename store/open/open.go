// Package open opens a ready store by its URL: memory, files, a server, or a backend of your own.
// It puts a near tier in this process's memory and a guard before the backend.
//
//	import (
//		"github.com/freshet-go/freshet/store/open"
//		_ "github.com/freshet-go/freshet/store/redisstore" // redis://
//	)
//
//	s, err := open.URL(ctx, "redis://127.0.0.1:6379/0", open.Options{})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	cache := freshet.New(s, freshet.Options{})
//
// As with database/sql, a program imports the drivers that it wants, and links no other:
// redisstore, pgstore, memcachestore, httpstore, cachekitstore, or a package of its own that calls
// drivers.Register. memory:// and file:// need no import.
package open

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/sealedstore"
	"github.com/freshet-go/freshet/store/tieredstore"
)

// DefaultPrefix is the Options.Prefix of programs that choose none.
const DefaultPrefix = "freshet:"

const defaultNear = 64 << 20

// Options are what a program wishes for a store, whatever its backend. An option in the URL's query
// goes before the field here. The zero value is usable.
type Options struct {
	// Prefix (prefix) begins every key on the server, so that several caches can share it, each
	// blind to the others: letters, digits and _ . : -, at most 136 of them, the last one of the
	// four. Default DefaultPrefix.
	Prefix string
	// Near (near) is how many bytes of entries to keep in this process's memory, before a backend
	// on a server or in files. Default 64 MiB; negative, or near=0 in the URL: none. For memory://,
	// which is all near, it is the bound that max_bytes in the URL goes before; default
	// memstore.DefaultBytes.
	Near int64
	// Compress (compress) is the smallest body, in bytes, to compress for the backend. Default:
	// none are.
	Compress int
	// MaxValue (max_value) is the largest entry, in bytes, to store in the backend; see
	// store.Options. Default 64 MiB; negative, or max_value=0 in the URL: no bound but the
	// backend's own.
	MaxValue int64
	// Encrypt (encryption_key, encryption_old_keys) are the keys that encrypt all that the backend
	// keeps; see package sealedstore. The URL does not hold keys, but says where they are:
	// encryption_key=env:NAME for an environment variable, or file:PATH. All processes that share
	// the backend need them. For memory:// it means nothing. Default: nothing is encrypted.
	Encrypt sealedstore.Keys
	// RequireEncryption (encryption=required) refuses to open a backend without a key, which would
	// keep everything in the clear. Default: encryption=optional. memory:// needs no key.
	RequireEncryption bool
	// OnFault, when not nil, hears of what lies in an encrypted backend and does not open: an
	// alarm, say. The log hears of it in any case, once a minute at most.
	OnFault func(sealedstore.Fault)
	// StartAnyway (start=anyway) does not ask the server at the start: a server that cannot be
	// reached yet costs the first requests a miss. What is wrong with the URL itself is an error
	// all the same.
	StartAnyway bool
	// Guard bounds what a sick server can cost: guard_timeout, guard_set_timeout, guard_failures,
	// guard_retry and guard_waiting. Default: those of package guardstore.
	Guard guardstore.Options
	// Wrap, when not nil, gets the backend and returns the one to use in its place: one that traces
	// each call, say (package tracestore). It is not called for memory://, which has no backend.
	Wrap func(store.Backend) store.Backend
	// Log hears when the backend fails and when it is well again, and of values that are no
	// entries. Default: slog.Default().
	Log *slog.Logger
}

// Store is a ready store, for a cache. Close it after the cache.
type Store struct {
	store.Store

	// Backend keeps the bytes; nil for memory, which keeps entries as they are.
	Backend store.Backend
	// Prefix begins the keys in the backend.
	Prefix string
	// URL is the URL that was opened, with passwords masked.
	URL string
	// Kind is the kind of its driver: "memory", "file", "redis", "postgresql", "memcached", "http",
	// "cachekit", or that of a driver of your own.
	Kind string

	near  *memstore.Store
	close func() error
}

var (
	_ store.Store     = (*Store)(nil)
	_ store.Journaled = (*Store)(nil)
)

// Journal returns the journal that the store's server keeps, for processes that invalidate and
// cache nothing; nil for memory.
func (s *Store) Journal() store.Journal {
	if j, ok := store.As[store.Journaled](s.Store); ok {
		return j.Journal()
	}
	return nil
}

// NearBytes returns the bound of what is kept in this process's memory, in bytes; 0: nothing is.
func (s *Store) NearBytes() int64 {
	if s.near == nil {
		return 0
	}
	return s.near.MaxBytes()
}

// Unwrap returns the store that this one is, for store.As.
func (s *Store) Unwrap() any { return s.Store }

// Close releases everything: connections, goroutines, memory.
func (s *Store) Close() error {
	var err error
	if s.close != nil {
		err = s.close()
	}
	if s.near != nil {
		s.near.Close()
	}
	return err
}

// URL opens the store that a URL names. The schemes are memory, file, and those of the drivers that
// the program imports: redis, rediss, redis+sentinel and redis+cluster of redisstore, postgres and
// postgresql of pgstore, memcached of memcachestore, http+store and https+store of httpstore,
// cachekit of cachekitstore. The query holds the options above and those of the driver's Config.
// URL asks the server once, so that an error at the start says in one sentence what is wrong,
// without a password, and how to start all the same; see Options.StartAnyway.
func URL(ctx context.Context, rawURL string, o Options) (*Store, error) {
	p, err := parse(rawURL, o)
	if err != nil {
		return nil, err
	}
	if p.driver.Kind == memory {
		return p.openMemory()
	}
	b, end, err := p.open()
	if err != nil {
		return nil, err
	}
	if o.Wrap != nil {
		b = o.Wrap(b)
	}
	if !p.options.StartAnyway {
		h, err := b.Health(ctx)
		if err != nil {
			end()
			return nil, p.fail(fmt.Errorf("%w: the store must answer at the start, unless its URL "+
				"has ?start=anyway, or a setting says cache_start = anyway", err))
		}
		p.advise(h)
	}
	return p.over(b, end), nil
}

// advise logs what a backend says that would be better.
func (p *parsed) advise(h store.Health) {
	for _, name := range slices.Sorted(maps.Keys(h.Details)) {
		if strings.HasSuffix(name, "advice") {
			cmp.Or(p.options.Log, slog.Default()).Warn("freshet: "+h.Backend+": "+h.Details[name],
				"store", p.shown)
		}
	}
}

// Backend opens the backend that a URL names and nothing before it, and asks no server: for tools
// that look after a backend. The prefix is the one that URL would use. It refuses memory://, which
// no other process can reach.
func Backend(
	rawURL string, o Options,
) (b store.Backend, prefix string, closeIt func() error, err error) {
	p, err := parse(rawURL, o)
	if err != nil {
		return nil, "", nil, err
	}
	if b, closeIt, err = p.open(); err != nil {
		return nil, "", nil, err
	}
	return b, p.options.Prefix, closeIt, nil
}

// over puts what every backend needs before b: the envelope, the guard, and the part that is near.
func (p *parsed) over(b store.Backend, end func() error) *Store {
	o := p.options
	s := &Store{Backend: b, Prefix: o.Prefix, URL: p.shown, Kind: p.driver.Kind, close: end}
	far := store.New(b, store.Options{
		Prefix: o.Prefix, Compress: o.Compress, MaxValue: o.MaxValue,
		OnCorrupt: (&corruption{log: o.Log, url: p.shown}).heard,
	})
	guard := o.Guard
	guard.Name, guard.Log = p.driver.Kind, o.Log
	s.Store = guardstore.New(far, guard)
	if o.Near > 0 {
		s.near = memstore.New(o.Near)
		s.Store = tieredstore.New(s.near, s.Store, tieredstore.Options{})
	}
	return s
}

func (p *parsed) openMemory() (*Store, error) {
	bytes, err := memoryBytes(p)
	if err != nil {
		return nil, err
	}
	near := memstore.New(bytes) // 0: its default
	return &Store{Store: tieredstore.New(near, nil, tieredstore.Options{}), URL: p.shown,
		Kind: memory, near: near}, nil
}

// Health writes, reads and deletes a value of its own, and asks the server how it is.
func (s *Store) Health(ctx context.Context) (store.Health, error) {
	if s.Backend == nil {
		start := time.Now()
		s.near.Get(ctx, "health")
		return store.Health{Backend: memory, Latency: time.Since(start), Details: map[string]string{
			"entries": fmt.Sprint(s.near.Len()), "bytes": fmt.Sprint(s.near.Bytes()),
		}}, nil
	}
	return store.Probe(ctx, s.Backend, s.Prefix)
}
