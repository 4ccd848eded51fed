package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

var flushRules = []rule[able[store.Flusher]]{{
	name: "Flush removes what begins with the prefix, says how much, and removes nothing else",
	why: "a server is shared; one cache's flush must not be another's, even when a name has a " +
		"character that means something to the server",
	check: func(ctx context.Context, b able[store.Flusher], _ Options) error {
		for prefix, keys := range neighbours {
			if err := fillFor(ctx, b, prefix, keys); err != nil {
				return err
			}
			removed, err := b.can.Flush(ctx, prefix)
			if want := int64(len(keys.inside)); err != nil || removed != want {
				return fmt.Errorf("Flush(%q): removed %d, %v; want %d, nil", prefix, removed, err,
					want)
			}
			for _, key := range keys.inside {
				if err := absent(ctx, b, key); err != nil {
					return fmt.Errorf("after Flush(%q): %w", prefix, err)
				}
			}
			for _, key := range keys.outside {
				if err := find(ctx, b, key, []byte("of "+key)); err != nil {
					return fmt.Errorf("after Flush(%q): %w", prefix, err)
				}
			}
		}
		return nil
	},
}, {
	name: "Flush of a prefix that nothing begins with removes nothing, without an error",
	why:  "flushing twice is no failure",
	check: func(ctx context.Context, b able[store.Flusher], _ Options) error {
		if err := setAndFind(ctx, b, "a:1", []byte("v")); err != nil {
			return err
		}
		for i, want := range []int64{1, 0, 0} {
			if removed, err := b.can.Flush(ctx, "a:"); err != nil || removed != want {
				return fmt.Errorf("Flush, time %d: removed %d, %v; want %d, nil", i+1, removed, err,
					want)
			}
		}
		return nil
	},
}, {
	name: "what is set after a Flush is kept, and the next Flush removes it",
	why:  "a site goes on at once after its cache was emptied",
	check: func(ctx context.Context, b able[store.Flusher], _ Options) error {
		for i := range 3 {
			for _, key := range []string{"a:1", "a:2"} {
				if err := setAndFind(ctx, b, key, fmt.Append(nil, "value ", i)); err != nil {
					return err
				}
			}
			if removed, err := b.can.Flush(ctx, "a:"); err != nil || removed != 2 {
				return fmt.Errorf("Flush, time %d: removed %d, %v; want 2, nil", i+1, removed, err)
			}
			if err := errors.Join(absent(ctx, b, "a:1"), absent(ctx, b, "a:2")); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "Flush of an empty prefix is an error and removes nothing",
	why:  "the server may hold what is none of ours",
	check: func(ctx context.Context, b able[store.Flusher], _ Options) error {
		if err := setAndFind(ctx, b, "key", []byte("v")); err != nil {
			return err
		}
		if removed, err := b.can.Flush(ctx, ""); err == nil || errors.Is(err, store.ErrNotFound) ||
			removed != 0 {
			return fmt.Errorf("Flush(\"\"): removed %d, %v; want an error", removed, err)
		}
		return find(ctx, b, "key", []byte("v"))
	},
}, {
	name: "a prefix is no pattern",
	why:  "what an operator mistypes must not empty the server",
	check: func(ctx context.Context, b able[store.Flusher], _ Options) error {
		keys := []string{"a", "abc", "a:1", "b", "n"}
		for _, key := range keys {
			if err := setAndFind(ctx, b, key, []byte("v")); err != nil {
				return err
			}
		}
		for _, prefix := range []string{"*", "a*", "?", "%", "a%", "[a-z]", "{a}", "\\", "\\x61",
			"(", ".*", "a|b", "' OR 1=1 --", " ", "\x00", "\n"} {
			if removed, err := b.can.Flush(ctx, prefix); removed != 0 || errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("Flush(%q): removed %d, %v; want 0 and nil, or an error", prefix,
					removed, err)
			}
			for _, key := range keys {
				if err := find(ctx, b, key, []byte("v")); err != nil {
					return fmt.Errorf("after Flush(%q): %w", prefix, err)
				}
			}
		}
		return nil
	},
}, {
	name:  "Flush removes thousands",
	why:   "servers hand out keys in portions, and take them in portions",
	check: flushThousands,
}, {
	name: "Flush leaves leases and journals alone",
	why:  "a lease lost is a lock held by two; a journal lost makes every node drop what it has",
	check: func(ctx context.Context, b able[store.Flusher], _ Options) error {
		values := newPrefix()
		kept, err := keepOthers(ctx, b.Backend, values)
		if err != nil {
			return err
		}
		if err := setAndFind(ctx, b, values+"1", []byte("v")); err != nil {
			return err
		}
		// The others are no prefixes of values; they may be refused.
		for _, prefix := range []string{values, "~", "~lock~", "~journal~"} {
			removed, err := b.can.Flush(ctx, prefix)
			if prefix == values && (err != nil || removed != 1) {
				return fmt.Errorf("Flush(%q): removed %d, %v; want 1, nil", prefix, removed, err)
			}
			if err := kept(); err != nil {
				return fmt.Errorf("after Flush(%q): %w", prefix, err)
			}
		}
		return nil
	},
}, {
	name: "a Store's entries are flushed by its prefix, and no other Store's",
	why:  "several caches share a server, and each is emptied alone",
	check: func(ctx context.Context, b able[store.Flusher], _ Options) error {
		one, two := store.New(b.Backend, store.Options{Prefix: "one:"}), store.New(b.Backend,
			store.Options{Prefix: "two:"})
		for _, key := range []string{"a", "b"} {
			if err := errors.Join(setEntry(ctx, one, fullEntry(key)), setEntry(ctx, two,
				fullEntry(key))); err != nil {
				return err
			}
		}
		if removed, err := b.can.Flush(ctx, "one:"); err != nil || removed != 2 {
			return fmt.Errorf("Flush: removed %d, %v; want 2, nil", removed, err)
		}
		return errors.Join(noEntry(ctx, one, "a"), noEntry(ctx, one, "b"), findEntry(ctx, two,
			fullEntry("a")), findEntry(ctx, two, fullEntry("b")))
	},
}}

// neighbours are prefixes, the keys that begin with them, and keys that come near it: by case, by
// what a pattern of Redis, of SQL or of a shell would match, by the place in the sort order.
var neighbours = map[string]struct{ inside, outside []string }{
	"a_b:": {[]string{"a_b:", "a_b:1", "a_b::", "a_b:a_b:"}, []string{"axb:1", "a.b:1", "a-b:1",
		"a:b:1", "A_b:1", "a_b", "a_b.", "a_c:1", "xa_b:1", "_a_b:1"}},
	"a.b": {[]string{"a.b", "a.b.", "a.bc"}, []string{"a_b", "axb", "a-b", "a:b", "a.B", "a.",
		"a.c", ".a.b"}},
	"a-z": {[]string{"a-z", "a-z1", "a-z-a-z"}, []string{"a_z", "b", "m", "z", "a-y", "a-Z", "a",
		"-a-z"}},
	"a:": {[]string{"a:", "a:1", "a:z", "a::", "a:A"}, []string{"a", "a.1", "a-1", "A:1", "aa:1",
		"b:a:1", ":a:1"}},
	".": {[]string{".", "..", ".a"}, []string{"a.", "-", ":", "a"}},
	"-": {[]string{"-", "--", "-1"}, []string{"a-", "_", ".", "1"}},
	"_": {[]string{"_", "__", "_a"}, []string{"a_", "a", "-", "."}},
	"z": {[]string{"z", "zz", "zzz"}, []string{"y", "Z", "az"}},
	"9": {[]string{"9", "99"}, []string{"8", "89", ":", "a9"}},
	"0": {[]string{"0", "00", "0f"}, []string{"1", "10", "f0"}},
}

// fillFor sets the neighbours of one prefix, and removes what is left of another's.
func fillFor(
	ctx context.Context, b store.Backend, prefix string, keys struct{ inside, outside []string },
) error {
	for _, others := range neighbours {
		for _, key := range append(others.inside[:len(others.inside):len(others.inside)],
			others.outside...) {
			if _, err := b.Delete(ctx, key); err != nil {
				return fmt.Errorf("Delete(%q): %w", key, err)
			}
		}
	}
	for _, key := range append(keys.inside[:len(keys.inside):len(keys.inside)], keys.outside...) {
		if err := setAndFind(ctx, b, key, []byte("of "+key)); err != nil {
			return fmt.Errorf("for the prefix %q: %w", prefix, err)
		}
	}
	return nil
}

// flushThousands flushes while others set, under another prefix, what must stay.
func flushThousands(ctx context.Context, b able[store.Flusher], o Options) error {
	many := min(o.Keys, 2000)
	for i := range many {
		if err := b.Set(ctx, fmt.Sprint("many:", i), fmt.Append(nil, i), time.Hour); err != nil {
			return err
		}
	}
	var all sync.WaitGroup
	errs := make([]error, 4)
	for w := range errs {
		all.Go(func() {
			for i := range o.Rounds / 2 {
				if errs[w] = setAndFind(ctx, b, fmt.Sprintf("man.%d-%d", w, i), fmt.Append(nil, i)); errs[w] != nil {
					return
				}
			}
		})
	}
	removed, err := b.can.Flush(ctx, "many:")
	all.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	if removed != int64(many) {
		return fmt.Errorf("removed %d of %d", removed, many)
	}
	for i := range many {
		if found, err := b.Exists(ctx, fmt.Sprint("many:", i)); found || err != nil {
			return fmt.Errorf("key %d after Flush: exists %t, %v", i, found, err)
		}
	}
	for w := range errs {
		for i := range o.Rounds / 2 {
			if err := find(ctx, b, fmt.Sprintf("man.%d-%d", w, i), fmt.Append(nil, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepOthers takes a lease and appends a mark to a journal, both named like values that begin with
// prefix, if the backend can; kept reports whether they are as they were.
func keepOthers(
	ctx context.Context, b store.Backend, prefix string,
) (kept func() error, err error) {
	locker, locks := store.As[store.Locker](b)
	if locks {
		if _, ok, err := locker.TryLock(ctx, prefix+"lease", time.Hour); !ok || err != nil {
			return nil, fmt.Errorf("TryLock: %t, %v", ok, err)
		}
	}
	journaler, keeps := store.As[store.Journaler](b)
	var want []store.Numbered
	var begin, head uint64
	if keeps {
		if begin, want, err = appendAll(ctx, journaler.Journal(prefix)); err != nil {
			return nil, err
		}
		head = want[len(want)-1].Number
	}
	return func() error {
		if locks {
			if _, ok, err := locker.TryLock(ctx, prefix+"lease", time.Hour); ok || err != nil {
				return fmt.Errorf("TryLock of a lease that is held: %t, %v", ok, err)
			}
		}
		if keeps {
			return since(ctx, journaler.Journal(prefix), begin, want, head)
		}
		return nil
	}, nil
}
