package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// maxPrefix is the length of the longest prefix.
const maxPrefix = 136

// only is a backend with one value.
type only struct {
	store.Backend
	key   string
	value []byte
}

func (o only) Get(_ context.Context, key string) ([]byte, error) {
	if key != o.key {
		return nil, store.ErrNotFound
	}
	return o.value, nil
}

// prefixRules are about what a Store made of the backend leaves in it.
var prefixRules = []rule[store.Backend]{{
	name: "what a Store sets lies under its prefix and the key's digest",
	why:  "tools, and stores with another prefix, find it there",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		for _, prefix := range []string{"prefix_", "a:b.c-d_", strings.Repeat("p", maxPrefix), ""} {
			s, e := store.New(b, store.Options{Prefix: prefix}), fullEntry("key of "+prefix)
			if err := setEntry(ctx, s, e); err != nil {
				return err
			}
			key := store.Options{Prefix: prefix}.BackendKey(e.Key)
			value, err := b.Get(ctx, key)
			if err != nil || !strings.HasPrefix(key, prefix) {
				return fmt.Errorf("prefix %q: Get(%q) of the backend: %v", prefix, key, err)
			}
			if err := findEntry(ctx, store.New(only{key: key, value: value},
				store.Options{Prefix: prefix}), e); err != nil {
				return fmt.Errorf("prefix %q: what the backend has under %q: %w", prefix, key, err)
			}
		}
		return nil
	},
}, {
	name: "a Store finds and removes what lies under its prefix, whichever Store has set it",
	why: "what was copied from another server, by the server's own tools, is as good as what " +
		"was set here",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		s, e := store.New(b, store.Options{Prefix: "prefix_"}), fullEntry("key")
		if err := setEntry(ctx, s, e); err != nil {
			return err
		}
		key := store.Options{Prefix: "prefix_"}.BackendKey("key")
		value, err := b.Get(ctx, key)
		if err != nil {
			return err
		}
		if err := s.Delete(ctx, "key"); err != nil {
			return err
		}
		if err := errors.Join(noEntry(ctx, s, "key"), absent(ctx, b, key)); err != nil {
			return fmt.Errorf("after the Store's Delete: %w", err)
		}
		if err := b.Set(ctx, key, value, time.Hour); err != nil {
			return err
		}
		if err := findEntry(ctx, s, e); err != nil {
			return fmt.Errorf("after Set of the backend: %w", err)
		}
		if existed, err := b.Delete(ctx, key); !existed || err != nil {
			return fmt.Errorf("Delete of the backend: existed %t, %v", existed, err)
		}
		return noEntry(ctx, s, "key")
	},
}, {
	name: "Stores with different prefixes do not see each other's entries",
	why:  "two deployments on one server serve two sites",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		prefixes := []string{"", "a", "A", "a:", "a_", "aa", "b:"}
		entry := func(prefix string) *store.Entry {
			e := fullEntry("key")
			e.Body = []byte("of " + prefix)
			return e
		}
		stores := map[string]store.Store{}
		for _, prefix := range prefixes {
			stores[prefix] = store.New(b, store.Options{Prefix: prefix})
			if err := noEntry(ctx, stores[prefix], "key"); err != nil {
				return fmt.Errorf("prefix %q, though only others have set it: %w", prefix, err)
			}
			if err := setEntry(ctx, stores[prefix], entry(prefix)); err != nil {
				return err
			}
		}
		if err := stores["a"].Delete(ctx, "key"); err != nil {
			return err
		}
		for prefix, s := range stores {
			if prefix == "a" {
				if err := noEntry(ctx, s, "key"); err != nil {
					return err
				}
			} else if err := findEntry(ctx, s, entry(prefix)); err != nil {
				return fmt.Errorf("prefix %q, after Delete with prefix %q: %w", prefix, "a", err)
			}
		}
		return nil
	},
}, {
	name: "a probe of a backend that is well finds it well, every time",
	why:  "a health page that flaps is not looked at when it matters",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		for i := range 20 {
			if _, err := store.Probe(ctx, b, "probe:"); err != nil {
				return fmt.Errorf("probe %d: %w", i+1, err)
			}
		}
		return nil
	},
}}
