package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
)

var lifetimeRules = []rule[store.Backend]{{
	name: "a value ends with its ttl",
	why:  "what never ends fills the server, and outlives every promise about staleness",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		if err := b.Set(ctx, "key", []byte("v"), o.TTL); err != nil {
			return err
		}
		time.Sleep(o.TTL + o.Margin)
		if err := absent(ctx, b, "key"); err != nil {
			return fmt.Errorf("%v after a Set for %v: %w", o.TTL+o.Margin, o.TTL, err)
		}
		if existed, err := b.Delete(ctx, "key"); existed || err != nil {
			return fmt.Errorf("Delete of a value that has ended: existed %t, error %v", existed,
				err)
		}
		return nil
	},
}, {
	name: "a value is there until its ttl ends",
	why: "units are easily confused, and a lifetime cut short is a cache that does not work and " +
		"does not say so",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		start := time.Now()
		if err := b.Set(ctx, "key", []byte("v"), 4*o.TTL); err != nil {
			return err
		}
		time.Sleep(o.TTL)
		err := find(ctx, b, "key", []byte("v"))
		if passed := time.Since(start); err != nil && passed < 3*o.TTL { // a machine may stall
			return fmt.Errorf("%v after a Set for %v: %w", passed, 4*o.TTL, err)
		}
		return nil
	},
}, {
	name: "a ttl below the backend's unit still ends",
	why:  "rounding half a second down to 0 means for ever on many servers",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		if err := b.Set(ctx, "key", []byte("v"), 1); err != nil {
			return fmt.Errorf("Set for a nanosecond: %w", err)
		}
		time.Sleep(o.TTL + o.Margin)
		return absent(ctx, b, "key")
	},
}, {
	name: "a ttl of 0 or less stores nothing and removes what was there",
	why: "servers read 0 and negative numbers as for ever, as an error, or as at once; here " +
		"they mean: of no use",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		for i, ttl := range []time.Duration{0, -1, -time.Hour, -1 << 63} {
			key := fmt.Sprint("key-", i)
			if err := setAndFind(ctx, b, key, []byte("before")); err != nil {
				return err
			}
			for range 2 { // the second time nothing is there
				if err := b.Set(ctx, key, []byte("v"), ttl); err != nil {
					return fmt.Errorf("Set for %v: %w", ttl, err)
				}
				if err := absent(ctx, b, key); err != nil {
					return fmt.Errorf("after a Set for %v: %w", ttl, err)
				}
			}
		}
		return nil
	},
}, {
	name: "a long ttl is not an error and not the past",
	why:  "Memcached takes more than 30 days for a date in 1970, and sums overflow",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		for _, ttl := range []time.Duration{90 * time.Second, 31 * 24 * time.Hour,
			400 * 24 * time.Hour, 1<<63 - 1} {
			if err := b.Set(ctx, "key", []byte("v"), ttl); err != nil {
				return fmt.Errorf("Set for %v: %w", ttl, err)
			}
			if err := find(ctx, b, "key", []byte("v")); err != nil {
				return fmt.Errorf("after a Set for %v: %w", ttl, err)
			}
		}
		return nil
	},
}, {
	name: "Set replaces the ttl, too",
	why: "a refreshed page must not end when the old one would have, nor an uncacheable one " +
		"live on",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		for _, s := range []struct {
			key string
			ttl time.Duration
		}{{"longer", o.TTL}, {"longer", time.Hour}, {"shorter", time.Hour}, {"shorter", o.TTL}} {
			if err := b.Set(ctx, s.key, []byte("v"), s.ttl); err != nil {
				return err
			}
		}
		time.Sleep(o.TTL + o.Margin)
		if err := find(ctx, b, "longer", []byte("v")); err != nil {
			return fmt.Errorf("set for %v, then for an hour: %w", o.TTL, err)
		}
		if err := absent(ctx, b, "shorter"); err != nil {
			return fmt.Errorf("set for an hour, then for %v: %w", o.TTL, err)
		}
		return nil
	},
}}
