package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

var backendRules = []rule[store.Backend]{{
	name: "a key that was never set is ErrNotFound",
	why:  "any other error counts as a broken backend and trips its guard; a nil error would be a hit",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		return absent(ctx, b, "unknown")
	},
}, {
	name: "a value comes back byte for byte",
	why:  "a body is bytes, not text: gzip, images and NUL must survive",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		for i, value := range [][]byte{all, []byte("text"), []byte("\r\n"), []byte(`{"json": true}`), {0}} {
			key := fmt.Sprint("value-", i)
			if err := setAndFind(ctx, b, key, value); err != nil {
				return err
			}
		}
		return setAndFind(ctx, b, "great", bytes.Repeat([]byte{0, 0xff, 'x', '\n'}, o.MaxValue/4))
	},
}, {
	name: "an empty value is a value",
	why:  "no bytes and not there are different things; taking one for the other makes every such request run the handler",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		for i, value := range [][]byte{{}, nil} {
			if err := setAndFind(ctx, b, fmt.Sprint("empty-", i), value); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "every allowed key works, and keys that differ are different",
	why:  "stores send 1 to 200 bytes of [A-Za-z0-9_.:-]; a backend that folds case or cuts keys serves one page for another",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		long := strings.Repeat("k", 199)
		keys := []string{
			"a", "A", "ab", "a.b", "a:b", "a-b", "a_b", ".", "..", ".a", "-a", "--a", ":", "a:", "a.", "con", "health", "0", "00", "-1",
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-",
			long + "1", long + "2", long, "1" + long,
		}
		for _, key := range keys {
			if err := b.Set(ctx, key, []byte("of "+key), time.Hour); err != nil {
				return fmt.Errorf("Set(%q): %w", key, err)
			}
		}
		for _, key := range keys {
			if err := find(ctx, b, key, []byte("of "+key)); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "Delete removes, and tells whether there was anything",
	why:  "a purge that reports success must have purged; callers count what they removed",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		if err := setAndFind(ctx, b, "other", []byte("o")); err != nil {
			return err
		}
		if err := setAndFind(ctx, b, "key", []byte("v")); err != nil {
			return err
		}
		for i, want := range []bool{true, false} {
			existed, err := b.Delete(ctx, "key")
			if err != nil || existed != want {
				return fmt.Errorf("Delete, time %d: existed %t, error %v; want %t, nil", i+1, existed, err, want)
			}
			if err := absent(ctx, b, "key"); err != nil {
				return fmt.Errorf("after Delete: %w", err)
			}
		}
		if err := find(ctx, b, "other", []byte("o")); err != nil {
			return fmt.Errorf("Delete took another key: %w", err)
		}
		return nil
	},
}, {
	name: "Set takes the place of what was there",
	why:  "an entry is replaced whole, never mixed with its predecessor",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		for _, value := range []string{"long, long ago", "short", "", "longer again than ever"} {
			if err := setAndFind(ctx, b, "key", []byte(value)); err != nil {
				return err
			}
		}
		return nil
	},
}, {
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
			return fmt.Errorf("Delete of a value that has ended: existed %t, error %v", existed, err)
		}
		return nil
	},
}, {
	name: "a value is there until its ttl ends",
	why:  "units are easily confused, and a lifetime cut short is a cache that does not work and does not say so",
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
	why:  "servers read 0 and negative numbers as for ever, as an error, or as at once; here they mean: of no use",
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
		for _, ttl := range []time.Duration{90 * time.Second, 31 * 24 * time.Hour, 400 * 24 * time.Hour, 1<<63 - 1} {
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
	why:  "a refreshed page must not end when the old one would have, nor an uncacheable one live on",
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
}, {
	name: "the backend keeps its own copy",
	why:  "callers reuse buffers; a value that changes under its readers is another page's body",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		value := []byte("value")
		if err := b.Set(ctx, "key", value, time.Hour); err != nil {
			return err
		}
		copy(value, "XXXXX")
		if err := find(ctx, b, "key", []byte("value")); err != nil {
			return fmt.Errorf("after the slice given to Set was overwritten: %w", err)
		}
		got, err := b.Get(ctx, "key")
		if err != nil {
			return err
		}
		copy(got, "YYYYY")
		_ = append(got, "more"...)
		if err := find(ctx, b, "key", []byte("value")); err != nil {
			return fmt.Errorf("after the slice that Get returned was overwritten: %w", err)
		}
		return nil
	},
}, {
	name: "what Get returned stays as it is",
	why:  "a client may read a body slowly while the key is overwritten, deleted and read by others",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		if err := b.Set(ctx, "key", []byte("first"), time.Hour); err != nil {
			return err
		}
		got, err := b.Get(ctx, "key")
		if err != nil {
			return err
		}
		if err := setAndFind(ctx, b, "key", []byte("secon")); err != nil {
			return err
		}
		if _, err := b.Delete(ctx, "key"); err != nil {
			return err
		}
		if string(got) != "first" {
			return fmt.Errorf("the value read before became %q", got)
		}
		return nil
	},
}, {
	name: "many keys are kept at once",
	why:  "a site has more than a handful of pages",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		for i := range o.Keys {
			if err := b.Set(ctx, fmt.Sprint("key-", i), fmt.Append(nil, "value ", i), time.Hour); err != nil {
				return fmt.Errorf("Set of key %d: %w", i, err)
			}
		}
		for i := range o.Keys {
			if err := find(ctx, b, fmt.Sprint("key-", i), fmt.Append(nil, "value ", i)); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name:  "concurrent calls do not mix values",
	why:   "every request is a goroutine; a torn value is a page made of two",
	check: concurrentBackend,
}, {
	name: "an error is never \"not there\", nor the reverse",
	why:  "a call that was given up says nothing about the key; a guard must see it as a failure, not as a miss",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		if err := setAndFind(ctx, b, "key", []byte("v")); err != nil {
			return err
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if got, err := b.Get(gone, "key"); errors.Is(err, store.ErrNotFound) || err == nil && string(got) != "v" {
			return fmt.Errorf("Get with a cancelled context: %q, %v; want the value, or an error that is not ErrNotFound", got, err)
		}
		if found, err := b.Exists(gone, "key"); err == nil && !found {
			return errors.New("Exists with a cancelled context: false without an error")
		}
		if err := b.Set(gone, "other", []byte("v"), time.Hour); err == nil {
			if err := find(ctx, b, "other", []byte("v")); err != nil {
				return fmt.Errorf("Set with a cancelled context reported success: %w", err)
			}
		}
		return nil
	},
}, {
	name: "Health names the backend",
	why:  "the operator's health page shows it",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		h, err := b.Health(ctx)
		if err != nil || h.Backend == "" || h.Latency < 0 {
			return fmt.Errorf("Health: %+v, %v; want a kind, a latency of 0 or more, and no error", h, err)
		}
		return nil
	},
}}

func concurrentBackend(ctx context.Context, b store.Backend, _ Options) error {
	const workers, rounds, keys = 8, 100, 5
	var all sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		all.Go(func() {
			for i := range rounds {
				key := fmt.Sprint("key-", (w+i)%keys)
				// A value says its key and its length in every part.
				size := 1 + (w*rounds+i)%50
				if err := b.Set(ctx, key, bytes.Repeat(fmt.Appendf(nil, "%s/%02d ", key, size), size), time.Hour); err != nil {
					errs[w] = err
					return
				}
				got, err := b.Get(ctx, key)
				if err == nil {
					err = whole(got, key)
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					errs[w] = err
					return
				}
				if i%7 == 0 {
					if _, err := b.Delete(ctx, key); err != nil {
						errs[w] = err
						return
					}
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// whole tells whether a value of concurrentBackend is in one piece, and its key's.
func whole(got []byte, key string) error {
	for size := 1; size <= 50; size++ {
		if bytes.Equal(got, bytes.Repeat(fmt.Appendf(nil, "%s/%02d ", key, size), size)) {
			return nil
		}
	}
	return fmt.Errorf("Get(%q) returned what nobody has set: %.200q", key, got)
}

func setAndFind(ctx context.Context, b store.Backend, key string, value []byte) error {
	if err := b.Set(ctx, key, bytes.Clone(value), time.Hour); err != nil {
		return fmt.Errorf("Set(%.100q): %w", key, err)
	}
	return find(ctx, b, key, value)
}

func find(ctx context.Context, b store.Backend, key string, want []byte) error {
	got, err := b.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("Get(%.100q): %w", key, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("Get(%.100q) = %.200q (%d bytes), want %.200q (%d bytes)", key, got, len(got), want, len(want))
	}
	if found, err := b.Exists(ctx, key); !found || err != nil {
		return fmt.Errorf("Exists(%.100q) = %t, %v, though Get finds it", key, found, err)
	}
	return nil
}

func absent(ctx context.Context, b store.Backend, key string) error {
	if got, err := b.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("Get(%.100q) = %.200q, %v; want ErrNotFound", key, got, err)
	}
	if found, err := b.Exists(ctx, key); found || err != nil {
		return fmt.Errorf("Exists(%.100q) = %t, %v, though Get does not find it", key, found, err)
	}
	return nil
}
