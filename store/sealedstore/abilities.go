package sealedstore

import (
	"context"
	"errors"
	"time"

	"github.com/freshet-go/freshet/store"
)

// abilities returns a chain of what the inner backend can do on what is sealed, each ability a link
// of its own, for store.As: a Backend that had all of them would claim what the inner one cannot.
func (b *Backend) abilities() any {
	var next any
	if can, ok := store.As[store.TTLer](b.inner); ok {
		next = struct {
			ttler
			link
		}{ttler{b, can}, link{next}}
	}
	if can, ok := store.As[store.Expirer](b.inner); ok {
		next = struct {
			expirer
			link
		}{expirer{b, can}, link{next}}
	}
	list, lists := store.As[store.Lister](b.inner)
	if lists {
		next = struct {
			lister
			link
		}{lister{b, list}, link{next}}
	}
	if can, ok := store.As[store.Flusher](b.inner); ok {
		next = struct {
			flusher
			link
		}{flusher{b, can, list}, link{next}}
	}
	if can, ok := store.As[store.ValueSweeper](b.inner); ok {
		next = struct {
			sweeper
			link
		}{sweeper{b, can}, link{next}}
	}
	if can, ok := store.As[store.Locker](b.inner); ok {
		next = struct {
			locker
			link
		}{locker{b, can}, link{next}}
	}
	if can, ok := store.As[store.Journaler](b.inner); ok {
		next = struct {
			journaler
			link
		}{journaler{b, can}, link{next}}
	}
	if can, ok := store.As[store.ValueLimited](b.inner); ok {
		next = struct {
			limited
			link
		}{limited{can}, link{next}}
	}
	if can, ok := store.As[store.Migrator](b.inner); ok {
		next = struct {
			store.Migrator
			link
		}{can, link{next}}
	}
	if can, ok := store.As[store.Local](b.inner); ok {
		next = struct {
			local
			link
		}{local{can}, link{next}}
	}
	return next
}

// link leads store.As to the next ability.
type link struct{ next any }

func (l link) Unwrap() any { return l.next }

type ttler struct {
	b     *Backend
	inner store.TTLer
}

// TTL implements [store.TTLer].
func (t ttler) TTL(ctx context.Context, key string) (time.Duration, error) {
	if err := driver.CheckKey("ttl", key); err != nil {
		return 0, err
	}
	space := t.b.space(key)
	for _, r := range t.b.rings {
		left, err := t.inner.TTL(ctx, space+r.locate(nameOfValue, key).name())
		if !errors.Is(err, store.ErrNotFound) {
			return left, err
		}
	}
	return 0, store.ErrNotFound
}

type expirer struct {
	b     *Backend
	inner store.Expirer
}

// Expire implements [store.Expirer].
func (e expirer) Expire(
	ctx context.Context, key string, ttl time.Duration,
) (existed bool, err error) {
	return e.b.each("expire", key, func(name string) (bool, error) {
		return e.inner.Expire(ctx, name, ttl)
	})
}

type limited struct{ inner store.ValueLimited }

// MaxValue implements [store.ValueLimited], for keys of any length.
func (l limited) MaxValue() int64 { return max(l.inner.MaxValue()-overhead, 0) }

type local struct{ inner store.Local }

// Local implements [store.Local].
func (l local) Local() bool { return l.inner.Local() }
