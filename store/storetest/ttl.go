package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
)

const day = 24 * time.Hour

var ttlRules = []rule[able[store.TTLer]]{{
	name: "the lifetime of a key that is not there is ErrNotFound",
	why: "servers answer -1, -2, 0 or a date long past; nobody must take one of them for a " +
		"lifetime",
	check: func(ctx context.Context, b able[store.TTLer], o Options) error {
		for _, key := range []string{"deleted", "not-kept", "ended"} {
			if err := setAndFind(ctx, b, key, []byte("v")); err != nil {
				return err
			}
		}
		if _, err := b.Delete(ctx, "deleted"); err != nil {
			return err
		}
		if err := errors.Join(b.Set(ctx, "not-kept", []byte("v"), 0), b.Set(ctx, "ended",
			[]byte("v"), o.TTL)); err != nil {
			return err
		}
		time.Sleep(o.TTL + o.Margin)
		for _, key := range []string{"unknown", "deleted", "not-kept", "ended"} {
			if left, err := b.can.TTL(ctx, key); !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("TTL(%q) = %v, %v; want ErrNotFound", key, left, err)
			}
		}
		return nil
	},
}, {
	name: "what is left is what was set, less the time that has passed",
	why: "a near copy lives no longer than this; a unit confused, or the seconds of a minute " +
		"taken for all, and it is wrong from 60 s on",
	check: func(ctx context.Context, b able[store.TTLer], o Options) error {
		for _, ttl := range lifetimes {
			begun, err := during(func() error { return b.Set(ctx, "key", []byte("v"), ttl) })
			if err != nil {
				return fmt.Errorf("Set for %v: %w", ttl, err)
			}
			if err := ttlIs(ctx, b.can, "key", ttl, begun, o); err != nil {
				return fmt.Errorf("after a Set for %v: %w", ttl, err)
			}
		}
		return nil
	},
}, {
	name: "what is left grows less, and reading does not change it",
	why:  "a page that lives on because it is read is never fresh",
	check: func(ctx context.Context, b able[store.TTLer], o Options) error {
		begun, err := during(func() error { return b.Set(ctx, "key", []byte("v"), time.Hour) })
		if err != nil {
			return err
		}
		time.Sleep(o.TTL + 2*o.Margin)
		if err := find(ctx, b, "key", []byte("v")); err != nil {
			return err
		}
		return ttlIs(ctx, b.can, "key", time.Hour, begun, o)
	},
}, {
	name: "the longest lifetime is one",
	why:  "sums overflow, and what has overflowed has ended",
	check: func(ctx context.Context, b able[store.TTLer], o Options) error {
		for _, ttl := range []time.Duration{100 * 365 * day, 1<<63 - 1} {
			if err := b.Set(ctx, "key", []byte("v"), ttl); err != nil {
				return fmt.Errorf("Set for %v: %w", ttl, err)
			}
			// A server may know an end of time; it is far off.
			if left, err := b.can.TTL(ctx, "key"); err != nil || left < 30*day-o.Margin ||
				left-o.Margin > ttl {
				return fmt.Errorf("TTL after a Set for %v: %v, %v", ttl, left, err)
			}
		}
		return nil
	},
}, {
	name: "a Store's prefix is in the keys that TTL takes",
	why: "the caller that asks for an entry's lifetime has the Store's key, and makes the " +
		"backend's of it by BackendKey",
	check: func(ctx context.Context, b able[store.TTLer], o Options) error {
		s := store.New(b.Backend, store.Options{Prefix: "prefix_"})
		ttler, ok := store.As[store.TTLer](s)
		if !ok {
			return errors.New("not found behind store.New")
		}
		begun, err := during(func() error {
			return s.Set(ctx, "key", fullEntry("key"), 10*time.Second)
		})
		if err != nil {
			return err
		}
		return ttlIs(ctx, ttler, store.Options{Prefix: "prefix_"}.BackendKey("key"), 10*time.Second,
			begun, o)
	},
}}

// lifetimes are those at which servers have been wrong: below and above a minute, an hour, and
// Memcached's 30 days; first one up, then down.
var lifetimes = []time.Duration{42 * time.Second, 90 * time.Second, 3600 * time.Second, 29 * day,
	31 * day, 3600 * time.Second, 42 * time.Second}

// moment is when something happened: not before, and not after.
type moment struct{ before, after time.Time }

func during(f func() error) (moment, error) {
	before := time.Now()
	err := f()
	return moment{before, time.Now()}, err
}

// ttlIs reports whether what is left of the value under key is what is left of ttl, which began at
// begun: give or take the margin, by which a server may round up or run late.
func ttlIs(
	ctx context.Context, ttler store.TTLer, key string, ttl time.Duration, begun moment, o Options,
) error {
	ttl = min(ttl, o.MaxTTL)
	most := ttl - time.Since(begun.after) + o.Margin
	left, err := ttler.TTL(ctx, key)
	least := ttl - time.Since(begun.before) - o.Margin
	if err != nil {
		return fmt.Errorf("TTL(%.100q): %w", key, err)
	}
	if left <= 0 || left < least || left > most {
		return fmt.Errorf("TTL(%.100q) = %v; want %v to %v", key, left, least, most)
	}
	return nil
}
