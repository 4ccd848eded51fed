package storetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

var valueRules = []rule[store.Backend]{{
	name: "a key that was never set is ErrNotFound",
	why: "any other error counts as a broken backend and trips its guard; a nil error would be " +
		"a hit",
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
		for i, value := range [][]byte{all, []byte("text"), []byte("\r\n"),
			[]byte(`{"json": true}`), {0}} {
			key := fmt.Sprint("value-", i)
			if err := setAndFind(ctx, b, key, value); err != nil {
				return err
			}
		}
		return setAndFind(ctx, b, "great", bytes.Repeat([]byte{0, 0xff, 'x', '\n'}, o.MaxValue/4))
	},
}, {
	name: "an empty value is a value",
	why: "no bytes and not there are different things; taking one for the other makes every " +
		"such request run the handler",
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
	why: "stores send 1 to 200 bytes of [A-Za-z0-9_.:-]; a backend that folds case or cuts keys " +
		"serves one page for another",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		long := strings.Repeat("k", 199)
		keys := []string{
			"a", "A", "ab", "a.b", "a:b", "a-b", "a_b", ".", "..", ".a", "-a", "--a", ":", "a:",
			"a.", "con", "health", "0", "00", "-1",
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
				return fmt.Errorf("Delete, time %d: existed %t, error %v; want %t, nil", i+1,
					existed, err, want)
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
	name: "the backend keeps its own copy",
	why:  "callers reuse buffers; a value that changes under its readers is another page's body",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		value := []byte("value")
		if err := b.Set(ctx, "key", value, time.Hour); err != nil {
			return err
		}
		copy(value, "other")
		if err := find(ctx, b, "key", []byte("value")); err != nil {
			return fmt.Errorf("after the slice given to Set was overwritten: %w", err)
		}
		got, err := b.Get(ctx, "key")
		if err != nil {
			return err
		}
		copy(got, "third")
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
}}
