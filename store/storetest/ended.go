package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// A call whose context is done already says nothing about the server and does nothing to it.
var endedRules = []rule[store.Backend]{{
	name: "a call whose context is done fails, with the reason, and does nothing",
	why: "the caller has left; a call that was given up is neither a miss nor a success, and " +
		"costs the server nothing",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		if err := setAndFind(ctx, b, "key", []byte("v")); err != nil {
			return err
		}
		for reason, gone := range doneContexts(ctx) {
			for call, err := range map[string]error{
				"Get":    second(b.Get(gone, "key")),
				"Get 2":  second(b.Get(gone, "unknown")),
				"Set":    b.Set(gone, "other", []byte("w"), time.Hour),
				"Set 2":  b.Set(gone, "key", []byte("w"), time.Hour),
				"Set 3":  b.Set(gone, "key", []byte("w"), 0),
				"Delete": second(b.Delete(gone, "key")),
				"Exists": second(b.Exists(gone, "key")),
				"Health": second(b.Health(gone)),
			} {
				if err := gaveUp(call, err, reason); err != nil {
					return err
				}
			}
			if err := errors.Join(find(ctx, b, "key", []byte("v")), absent(ctx, b, "other")); err != nil {
				return fmt.Errorf("afterwards: %w", err)
			}
		}
		return nil
	},
}, {
	name: "a call whose context is done fails, whatever ability it is of",
	why:  "a flush that was called off must not go on, and no lease be left that nobody holds",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		if err := setAndFind(ctx, b, "a:1", []byte("v")); err != nil {
			return err
		}
		for reason, gone := range doneContexts(ctx) {
			for name, call := range abilityCalls(b, "a:1", "a:") {
				if err := gaveUp(name, call(gone), reason); err != nil {
					return err
				}
			}
			if err := find(ctx, b, "a:1", []byte("v")); err != nil {
				return fmt.Errorf("afterwards: %w", err)
			}
		}
		if locker, ok := store.As[store.Locker](b); ok {
			l, err := lock(ctx, able[store.Locker]{b, locker}, "a:1", time.Hour)
			if err != nil {
				return fmt.Errorf("afterwards: %w", err)
			}
			return unlock(ctx, l, true)
		}
		return nil
	},
}, {
	name: "an error shows no whole key and no value",
	why:  "keys and bodies are what users send and read; errors go to logs",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		key := "key-" + strings.Repeat("0123456789", 10) + "-secret"
		// if the backend refuses keys
		refused := "key " + strings.Repeat("0123456789", 10) + "-secret"
		value := []byte("body: secret " + strings.Repeat("x", 1000))
		errs := map[string]error{
			"Set": b.Set(gone, key, value, time.Hour), "Get": second(b.Get(gone, key)),
			"Delete": second(b.Delete(gone, key)), "Exists": second(b.Exists(gone, key)),
			"Health":                    second(b.Health(gone)),
			"Set of a key with a space": b.Set(ctx, refused, value, time.Hour),
			"Get of a key with a space": second(b.Get(ctx, refused)),
		}
		if o.Oversize > 0 {
			errs["Set of a value too great"] = b.Set(ctx, key, oversize(o, string(value)),
				time.Hour)
		}
		for name, call := range abilityCalls(b, key, key) {
			errs[name] = call(gone)
		}
		for call, err := range errs {
			if err != nil && strings.Contains(err.Error(), "secret") {
				return fmt.Errorf("%s: %.500q", call, err)
			}
		}
		return nil
	},
}}

// doneContexts are contexts that are done, by the reason.
func doneContexts(ctx context.Context) map[error]context.Context {
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	late, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Hour))
	cancel()
	return map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: late}
}

// gaveUp reports whether err is that of a call which was given up for a reason.
func gaveUp(call string, err, reason error) error {
	if errors.Is(err, store.ErrNotFound) || !errors.Is(err, reason) {
		return fmt.Errorf("%s: error %v; want one that is %v, and not ErrNotFound", call, err,
			reason)
	}
	if kind := store.KindOf(err); kind != store.KindTimeout {
		return fmt.Errorf("%s: a %v error: %w; want the kind %v", call, kind, err,
			store.KindTimeout)
	}
	return nil
}

// abilityCalls are calls of each ability that the backend has, but for its journals. None changes
// more than the value and the lease under key, and the values whose keys begin with prefix.
func abilityCalls(b store.Backend, key, prefix string) map[string]func(context.Context) error {
	calls := map[string]func(context.Context) error{}
	if a, ok := store.As[store.TTLer](b); ok {
		calls["TTL"] = func(ctx context.Context) error { return second(a.TTL(ctx, key)) }
	}
	if a, ok := store.As[store.Expirer](b); ok {
		calls["Expire"] = func(ctx context.Context) error {
			return second(a.Expire(ctx, key, 2*time.Hour))
		}
		calls["Expire for 0"] = func(ctx context.Context) error {
			return second(a.Expire(ctx, key, 0))
		}
	}
	if a, ok := store.As[store.Flusher](b); ok {
		calls["Flush"] = func(ctx context.Context) error { return second(a.Flush(ctx, prefix)) }
	}
	if a, ok := store.As[store.Lister](b); ok {
		calls["List"] = func(ctx context.Context) error { return listError(a.List(ctx, prefix)) }
	}
	if a, ok := store.As[store.Locker](b); ok {
		calls["TryLock"] = func(ctx context.Context) error {
			_, ok, err := a.TryLock(ctx, key, time.Hour)
			if ok && err != nil {
				return fmt.Errorf("TryLock got the lease, and this error: %v", err)
			}
			return err
		}
	}
	if a, ok := store.As[store.Migrator](b); ok {
		calls["Migrate"] = func(ctx context.Context) error { return second(a.Migrate(ctx, false)) }
		calls["Migrate, a dry run"] = func(ctx context.Context) error {
			return second(a.Migrate(ctx, true))
		}
	}
	return calls
}

// listError is how a list ends that cannot be made: with an error, yielded once, before any key.
func listError(list func(yield func(string, error) bool)) (failed error) {
	for key, err := range list {
		switch {
		case failed != nil:
			return fmt.Errorf("went on after its error: %q, %v", key, err)
		case err == nil:
			return fmt.Errorf("yielded %q", key)
		}
		failed = err
	}
	return failed
}

func second[T any](_ T, err error) error { return err }
