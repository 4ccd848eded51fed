package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

var expireRules = []rule[able[store.Expirer]]{{
	name: "Expire makes a lifetime shorter, and longer",
	why:  "a page that is to go soon must go; one that is to stay must not end when it would have",
	check: func(ctx context.Context, b able[store.Expirer], o Options) error {
		start := time.Now()
		err := errors.Join(
			b.Set(ctx, "shorter", []byte("v"), time.Hour), expireThere(ctx, b, "shorter", o.TTL),
			b.Set(ctx, "tiny", []byte("v"), time.Hour), expireThere(ctx, b, "tiny", 1),
			b.Set(ctx, "longer", []byte("v"), 4*o.TTL), expireThere(ctx, b, "longer", time.Hour))
		if time.Since(start) > 3*o.TTL { // the machine stalled
			return nil
		}
		if err != nil {
			return err
		}
		time.Sleep(4*o.TTL + o.Margin)
		return errors.Join(absent(ctx, b, "shorter"), absent(ctx, b, "tiny"), find(ctx, b, "longer",
			[]byte("v")))
	},
}, {
	name: "Expire for 0 or less removes",
	why: "servers read 0 and negative numbers as for ever, as an error, or as at once; here " +
		"they mean: of no use",
	check: func(ctx context.Context, b able[store.Expirer], _ Options) error {
		for i, ttl := range []time.Duration{0, -1, -time.Hour, -1 << 63} {
			key := fmt.Sprint("key-", i)
			if err := setAndFind(ctx, b, key, []byte("v")); err != nil {
				return err
			}
			for _, want := range []bool{true, false} {
				if existed, err := b.can.Expire(ctx, key, ttl); existed != want || err != nil {
					return fmt.Errorf("Expire(%q, %v): existed %t, %v; want %t, nil", key, ttl,
						existed, err, want)
				}
				if err := absent(ctx, b, key); err != nil {
					return fmt.Errorf("after Expire for %v: %w", ttl, err)
				}
			}
		}
		return nil
	},
}, {
	name: "a key that is not there stays so, and Expire says that nothing was there",
	why: "a lifetime without a value, or a value made of nothing, is a phantom that somebody " +
		"will read",
	check: func(ctx context.Context, b able[store.Expirer], o Options) error {
		if err := setAndFind(ctx, b, "deleted", []byte("v")); err != nil {
			return err
		}
		if _, err := b.Delete(ctx, "deleted"); err != nil {
			return err
		}
		if err := b.Set(ctx, "ended", []byte("v"), o.TTL); err != nil {
			return err
		}
		time.Sleep(o.TTL + o.Margin)
		for _, key := range []string{"unknown", "deleted", "ended"} {
			if existed, err := b.can.Expire(ctx, key, 10*time.Second); existed || err != nil {
				return fmt.Errorf("Expire(%q): existed %t, %v; want false, nil", key, existed, err)
			}
			if err := absent(ctx, b, key); err != nil {
				return fmt.Errorf("after Expire: %w", err)
			}
			if ttler, ok := store.As[store.TTLer](b.Backend); ok {
				if left, err := ttler.TTL(ctx, key); !errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("after Expire: TTL(%q) = %v, %v; want ErrNotFound", key, left,
						err)
				}
			}
		}
		return nil
	},
}, {
	name: "Expire leaves the value as it is, and other keys alone",
	why:  "a backend that stores the value anew may store another",
	check: func(ctx context.Context, b able[store.Expirer], o Options) error {
		values := map[string][]byte{
			"empty": {}, "bytes": {0, 0xff, '\r', '\n', 0}, "number": []byte("12"),
			"great": bytes.Repeat([]byte("x\x00"), o.MaxValue/4),
		}
		for key, value := range values {
			if err := setAndFind(ctx, b, key, value); err != nil {
				return err
			}
		}
		for key := range values {
			if err := expireThere(ctx, b, key, 2*time.Hour); err != nil {
				return err
			}
			for other, value := range values {
				if err := find(ctx, b, other, value); err != nil {
					return fmt.Errorf("after Expire(%q): %w", key, err)
				}
			}
		}
		return nil
	},
}, {
	name: "every lifetime that Set takes, Expire takes",
	why:  "Memcached takes more than 30 days for a date in 1970, and sums overflow",
	check: func(ctx context.Context, b able[store.Expirer], o Options) error {
		ttler, tells := store.As[store.TTLer](b.Backend)
		for _, ttl := range append([]time.Duration{10 * time.Second, 100 * 365 * day, 1<<63 - 1},
			lifetimes...) {
			if err := setAndFind(ctx, b, "key", []byte("v")); err != nil {
				return err
			}
			begun, err := during(func() error { return expireThere(ctx, b, "key", ttl) })
			if err == nil {
				err = find(ctx, b, "key", []byte("v"))
			}
			if err == nil && tells && ttl <= 31*day {
				err = ttlIs(ctx, ttler, "key", ttl, begun, o)
			}
			if err != nil {
				return fmt.Errorf("an hour's value, after Expire for %v: %w", ttl, err)
			}
		}
		return nil
	},
}, {
	name: "Expire never brings back an old value",
	why: "a value read, then stored with another lifetime, overwrites what was set or deleted " +
		"in between",
	check: expireWhileSetting,
}, {
	name: "a Store's prefix is in the keys that Expire takes",
	why: "the caller that ends an entry has the Store's key, and makes the backend's of it by " +
		"BackendKey",
	check: func(ctx context.Context, b able[store.Expirer], _ Options) error {
		s := store.New(b.Backend, store.Options{Prefix: "prefix_"})
		expirer, ok := store.As[store.Expirer](s)
		if !ok {
			return errors.New("not found behind store.New")
		}
		if err := errors.Join(setEntry(ctx, s, fullEntry("key")),
			setEntry(ctx, s, fullEntry("other"))); err != nil {
			return err
		}
		if err := expireThere(ctx, able[store.Expirer]{b, expirer},
			(store.Options{Prefix: "prefix_"}).BackendKey("key"), 0); err != nil {
			return err
		}
		return errors.Join(noEntry(ctx, s, "key"), findEntry(ctx, s, fullEntry("other")))
	},
}}

func expireThere(ctx context.Context, b able[store.Expirer], key string, ttl time.Duration) error {
	if existed, err := b.can.Expire(ctx, key, ttl); !existed || err != nil {
		return fmt.Errorf("Expire(%.100q, %v) of what is there: existed %t, %v", key, ttl, existed,
			err)
	}
	return nil
}

// expireWhileSetting has one writer, and others that do nothing but extend the lifetime.
func expireWhileSetting(ctx context.Context, b able[store.Expirer], o Options) error {
	const expirers = 3
	rounds := 3 * max(1, o.Rounds/2) // of which the last does not end with a Delete
	stop := make(chan struct{})
	var all sync.WaitGroup
	errs := make([]error, expirers)
	for i := range expirers {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, errs[i] = b.can.Expire(ctx, "key", time.Hour); errs[i] != nil {
					return
				}
			}
		})
	}
	var wrote error
	for i := 0; i < rounds && wrote == nil; i++ {
		if wrote = setAndFind(ctx, b, "key", fmt.Append(nil, "value ", i)); wrote == nil && i%3 == 0 {
			if _, wrote = b.Delete(ctx, "key"); wrote == nil {
				wrote = absent(ctx, b, "key")
			}
		}
	}
	close(stop)
	all.Wait()
	if wrote == nil {
		wrote = find(ctx, b, "key", fmt.Append(nil, "value ", rounds-1))
	}
	return errors.Join(append(errs, wrote)...)
}
