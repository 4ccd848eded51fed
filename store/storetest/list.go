package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/freshet-go/freshet/store"
)

var listRules = []rule[able[store.Lister]]{{
	name: "List yields the keys that begin with the prefix, each once, and no other",
	why:  "a purge walks the list; what is left out stays, and what is none of ours goes",
	check: func(ctx context.Context, b able[store.Lister], _ Options) error {
		for prefix, keys := range neighbours {
			if err := fillFor(ctx, b, prefix, keys); err != nil {
				return err
			}
			if err := lists(ctx, b.can, prefix, keys.inside); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "what was removed or has ended is not listed, nor is a prefix that nothing begins with " +
		"an error",
	why: "an operator reads the list to learn what is there",
	check: func(ctx context.Context, b able[store.Lister], o Options) error {
		if err := lists(ctx, b.can, "a:", nil); err != nil {
			return fmt.Errorf("when nothing is there: %w", err)
		}
		for _, key := range []string{"a:there", "a:deleted", "a:not-kept", "a:ended"} {
			if err := setAndFind(ctx, b, key, []byte("v")); err != nil {
				return err
			}
		}
		if _, err := b.Delete(ctx, "a:deleted"); err != nil {
			return err
		}
		if err := errors.Join(b.Set(ctx, "a:not-kept", []byte("v"), 0), b.Set(ctx, "a:ended",
			[]byte("v"), o.TTL)); err != nil {
			return err
		}
		time.Sleep(o.TTL + o.Margin)
		return lists(ctx, b.can, "a:", []string{"a:there"})
	},
}, {
	name: "List yields thousands",
	why:  "servers hand out keys in portions, some of them twice",
	check: func(ctx context.Context, b able[store.Lister], o Options) error {
		keys := make([]string, min(o.Keys, 2000))
		for i := range keys {
			keys[i] = fmt.Sprint("many:", i)
			if err := b.Set(ctx, keys[i], fmt.Append(nil, i), time.Hour); err != nil {
				return err
			}
		}
		return lists(ctx, b.can, "many:", keys)
	},
}, {
	name: "a loop over List may end early, and the list be walked again",
	why: "a caller that looks for one key stops when it is found; what the loop held must be " +
		"free then",
	check: func(ctx context.Context, b able[store.Lister], _ Options) error {
		keys := []string{"a:1", "a:2", "a:3", "a:4"}
		for _, key := range keys {
			if err := setAndFind(ctx, b, key, []byte("v")); err != nil {
				return err
			}
		}
		list := b.can.List(ctx, "a:")
		for i := range 100 { // more than a pool has connections
			for key, err := range list {
				if err != nil || !slices.Contains(keys, key) {
					return fmt.Errorf("List, time %d: yielded %q, %v", i+1, key, err)
				}
				break
			}
		}
		return lists(ctx, b.can, "a:", keys)
	},
}, {
	name: "what is listed may be read and deleted at once",
	why: "that is how a backend that cannot flush is flushed; a loop that holds a lock or the " +
		"only connection never ends",
	check: func(ctx context.Context, b able[store.Lister], _ Options) error {
		for i := range 300 {
			if err := b.Set(ctx, fmt.Sprint("a:", i), []byte("v"), time.Hour); err != nil {
				return err
			}
		}
		n := 0
		for key, err := range b.can.List(ctx, "a:") {
			if err != nil {
				return fmt.Errorf("List, after %d keys: %w", n, err)
			}
			if err := find(ctx, b, key, []byte("v")); err != nil {
				return err
			}
			if existed, err := b.Delete(ctx, key); !existed || err != nil {
				return fmt.Errorf("Delete(%q), which was listed: existed %t, %v", key, existed, err)
			}
			n++
		}
		if n != 300 {
			return fmt.Errorf("yielded %d of 300 keys", n)
		}
		return lists(ctx, b.can, "a:", nil)
	},
}, {
	name: "leases and journals are not listed",
	why:  "they are no values, and deleting what is listed would delete them",
	check: func(ctx context.Context, b able[store.Lister], _ Options) error {
		prefix := newPrefix()
		kept, err := keepOthers(ctx, b.Backend, prefix)
		if err != nil {
			return err
		}
		if err := setAndFind(ctx, b, prefix+"1", []byte("v")); err != nil {
			return err
		}
		if err := lists(ctx, b.can, prefix, []string{prefix + "1"}); err != nil {
			return err
		}
		for key, err := range b.can.List(ctx, "~") {
			if err == nil {
				return fmt.Errorf("List(\"~\") yielded %q; want nothing, or an error", key)
			}
		}
		return kept()
	},
}, {
	name: "a Store's entries are listed under its prefix",
	why:  "an operator counts the entries of one cache among several",
	check: func(ctx context.Context, b able[store.Lister], _ Options) error {
		one, two := store.New(b.Backend, store.Options{Prefix: "one:"}), store.New(b.Backend,
			store.Options{Prefix: "two:"})
		if err := errors.Join(setEntry(ctx, one, fullEntry("a")), setEntry(ctx, one,
			fullEntry("b")), setEntry(ctx, two, fullEntry("a"))); err != nil {
			return err
		}
		return lists(ctx, b.can, "one:", []string{store.Options{Prefix: "one:"}.BackendKey("a"),
			store.Options{Prefix: "one:"}.BackendKey("b")})
	},
}}

// lists reports whether List yields just these keys, each once.
func lists(ctx context.Context, lister store.Lister, prefix string, keys []string) error {
	missing := map[string]bool{}
	for _, key := range keys {
		missing[key] = true
	}
	for key, err := range lister.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("List(%q): %w", prefix, err)
		}
		if !missing[key] {
			return fmt.Errorf("List(%q) yielded %.100q, which is not there, does not begin so, "+
				"or was yielded before", prefix, key)
		}
		delete(missing, key)
	}
	if len(missing) > 0 {
		return fmt.Errorf("List(%q) did not yield %d of %d keys: %.200q", prefix, len(missing),
			len(keys), fmt.Sprint(slices.Sorted(maps.Keys(missing))))
	}
	return nil
}
