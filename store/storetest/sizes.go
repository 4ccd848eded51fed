package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

var sizeRules = []rule[store.Backend]{{
	name: "a value too great is refused for good, and nothing is left under its key",
	why: "half a body is worse than none, and so is the body of before; a breaker must not open " +
		"because a page is long",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		if o.Oversize == 0 {
			return nil // as the Options say
		}
		for _, key := range []string{"replaced", "new"} {
			if key == "replaced" {
				if err := setAndFind(ctx, b, key, []byte("before")); err != nil {
					return err
				}
			}
			err := b.Set(ctx, key, oversize(o, ""), time.Hour)
			if kind := store.KindOf(err); err == nil || kind != store.KindPermanent ||
				!errors.Is(err, store.ErrTooLarge) {
				return fmt.Errorf("Set of %d bytes: error %v, kind %v; want a %v error that is "+
					"store.ErrTooLarge", o.Oversize, err, kind, store.KindPermanent)
			}
			if err := absent(ctx, b, key); err != nil {
				return fmt.Errorf("after a Set of %d bytes: %w", o.Oversize, err)
			}
			if err := setAndFind(ctx, b, key, []byte("after")); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "values of every length come back whole",
	why:  "lengths around a power of two are where buffers, portions and slabs end",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		for size := 1; size <= o.MaxValue; size *= 4 {
			for _, n := range []int{size - 1, size, size + 1} {
				if n > o.MaxValue {
					continue
				}
				if err := setAndFind(ctx, b, "key", numbered(n)); err != nil {
					return err
				}
			}
		}
		return setAndFind(ctx, b, "key", numbered(o.MaxValue))
	},
}, {
	name: "a key that is not allowed is refused for good, or is a key like others",
	why: "a space or a line's end in a key is another command on some servers; a key cut short " +
		"is another page's",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		allowed := []string{"a", "b", "key", strings.Repeat("k", 200)}
		for _, key := range allowed {
			if err := setAndFind(ctx, b, key, []byte("of "+key)); err != nil {
				return err
			}
		}
		for _, key := range refusedKeys {
			if err := refusedOrKept(ctx, b, key); err != nil {
				return err
			}
			for _, key := range allowed {
				if err := find(ctx, b, key, []byte("of "+key)); err != nil {
					return fmt.Errorf("after calls for another key: %w", err)
				}
			}
		}
		return nil
	},
}}

// refusedKeys are no keys of a backend. No Store uses them; a tool might.
var refusedKeys = []string{
	"", strings.Repeat("k", 201), strings.Repeat("k", 10_000), "a b", "key ", " key",
	"a\r\ndelete b\r\n", "a\x00b", "key\x00", "\x7f",
	"ключ", "\xff", "a/b", "../a", "/etc/passwd", "a\\b", "~a", "a%62", "a*", "?",
}

func refusedOrKept(ctx context.Context, b store.Backend, key string) error {
	err := b.Set(ctx, key, []byte("v"), time.Hour)
	if err == nil {
		if err := find(ctx, b, key, []byte("v")); err != nil {
			return fmt.Errorf("Set took the key: %w", err)
		}
		_, err := b.Delete(ctx, key)
		return err
	}
	for call, err := range map[string]error{
		"Set": err, "Get": second(b.Get(ctx, key)), "Delete": second(b.Delete(ctx, key)),
		"Exists": second(b.Exists(ctx, key)),
	} {
		if kind := store.KindOf(err); err == nil || errors.Is(err, store.ErrNotFound) ||
			kind != store.KindPermanent {
			return fmt.Errorf("%s(%.50q): error %v, kind %v; want a %v error, as of a key that "+
				"is refused", call, key, err, kind, store.KindPermanent)
		}
	}
	return nil
}

// oversize is a value that the backend refuses.
func oversize(o Options, begin string) []byte {
	return append([]byte(begin), numbered(o.Oversize-len(begin))...)
}

// numbered returns n bytes in which every place can be told from others.
func numbered(n int) []byte {
	b := make([]byte, 0, n+16)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d\x00\xff", i)
	}
	return bytes.Clone(b[:n])
}
