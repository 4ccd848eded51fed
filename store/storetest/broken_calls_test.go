package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func TestCallRulesFindFaults(t *testing.T) {
	const (
		refused  = "a value too great is refused for good, and nothing is left under its key"
		lengths  = "values of every length come back whole"
		keys     = "a key that is not allowed is refused for good, or is a key like others"
		gone     = "a call whose context is done fails, with the reason, and does nothing"
		goneToo  = "a call whose context is done fails, whatever ability it is of"
		secrets  = "an error shows no whole key and no value"
		under    = "what a Store sets lies under its prefix and the key's digest"
		anyStore = "a Store finds and removes what lies under its prefix, whichever Store has " +
			"set it"
		separate = "Stores with different prefixes do not see each other's entries"
		probes   = "a probe of a backend that is well finds it well, every time"
	)
	faults := finder[store.Backend]{rules: slices.Concat(sizeRules, endedRules, prefixRules)}
	bg := context.Background()
	add := func(name, rule string, f func() bent) {
		faults.add(name, rule, func() store.Backend {
			b := f()
			b.Backend = newMapBackend(nil)
			return b
		})
	}
	// limit returns a Set that does something else with values that are too great.
	limit := func(great func(b store.Backend, key string, v []byte) error) func() bent {
		return func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if len(v) >= tooMuch {
					return great(b, key, v)
				}
				return b.Set(bg, key, v, ttl)
			}}
		}
	}
	tooLarge := &store.Error{Backend: "bent", Op: "set", Kind: store.KindPermanent,
		Err: store.ErrTooLarge}
	add("what is too great is cut", refused, limit(func(b store.Backend, key string,
		v []byte) error {
		return b.Set(bg, key, v[:1000], time.Hour)
	}))
	add("what is too great is dropped in silence", refused, limit(func(b store.Backend, key string,
		v []byte) error {
		_, err := b.Delete(bg, key)
		return err
	}))
	add("what is too great leaves what was there", refused,
		limit(func(store.Backend, string, []byte) error { return tooLarge }))
	add("what is too great is cut, and refused", refused, limit(func(b store.Backend, key string,
		v []byte) error {
		return errors.Join(b.Set(bg, key, v[:1000], time.Hour), tooLarge)
	}))
	add("what is too great is a sick server", refused, limit(func(b store.Backend, key string,
		v []byte) error {
		b.Delete(bg, key)
		return &store.Error{Backend: "bent", Op: "set", Kind: store.KindTransient,
			Err: store.ErrTooLarge}
	}))
	add("the value is in the error", secrets, limit(func(_ store.Backend, key string,
		v []byte) error {
		return fmt.Errorf("cannot store %.100q", v)
	}))
	add("one length is wrong", lengths, func() bent {
		return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
			if len(v) == 4097 {
				v = v[:4096]
			}
			return b.Set(bg, key, v, ttl)
		}}
	})
	add("keys end at a space", keys, func() bent {
		cut := func(key string) string { key, _, _ = strings.Cut(key, " "); return key }
		return bent{
			get: func(b store.Backend, key string) ([]byte, error) { return b.Get(bg, cut(key)) },
			set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				return b.Set(bg, cut(key), v, ttl)
			},
		}
	})
	add("keys are commands", keys, func() bent {
		return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
			if strings.Contains(key, "\n") {
				b.Delete(bg, "b")
			}
			return b.Set(bg, key, v, ttl)
		}}
	})
	add("a refused key is a miss", keys, func() bent {
		return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
			if store.CheckKey(key) != nil {
				return &store.Error{Backend: "bent", Op: "set", Kind: store.KindPermanent}
			}
			return b.Set(bg, key, v, ttl)
		}}
	})
	add("prefixes are cut", separate, func() bent {
		digest := func(key string) string { return key[max(0, len(key)-64):] }
		return bent{
			get: func(b store.Backend, key string) ([]byte, error) {
				return b.Get(bg, digest(key))
			},
			set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				return b.Set(bg, digest(key), v, ttl)
			},
		}
	})
	add("keys of 200 bytes are too long", under, func() bent {
		return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
			if len(key) > 199 {
				return errors.New("key too long")
			}
			return b.Set(bg, key, v, ttl)
		}}
	})
	add("the deleted stays deleted", anyStore, func() bent {
		dead := map[string]bool{}
		return bent{
			set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if dead[key] {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			},
			delete: func(b store.Backend, key string) (bool, error) {
				dead[key] = true
				return b.Delete(bg, key)
			},
		}
	})
	add("every seventh Set is lost", probes, func() bent {
		n := 0
		return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
			if n++; n%7 == 0 {
				return nil
			}
			return b.Set(bg, key, v, ttl)
		}}
	})

	faults.add("given up is not found", gone, func() store.Backend {
		return givingUp{Backend: newFullBackend(nil), get: store.ErrNotFound}
	})
	faults.add("given up is a sick server", gone, func() store.Backend {
		return givingUp{newFullBackend(nil), &store.Error{Backend: "bent", Op: "get",
			Kind: store.KindTransient, Err: context.Canceled}, false, ""}
	})
	faults.add("the reason is lost", gone, func() store.Backend {
		return givingUp{Backend: newFullBackend(nil), get: &store.Error{Backend: "bent", Op: "get",
			Kind: store.KindTimeout, Err: errors.New("gave up")}}
	})
	faults.add("contexts are not looked at", gone, func() store.Backend {
		return bent{Backend: newMapBackend(nil), set: careless}
	})
	faults.add("a lease for those who have left", goneToo, func() store.Backend {
		return givingUp{Backend: newFullBackend(nil), locks: true}
	})
	faults.add("the key is in the error", secrets, func() store.Backend {
		return givingUp{Backend: newFullBackend(nil), tells: "no answer for "}
	})
	faults.run(t)
}

// careless is a Set that goes on whatever has become of its context.
func careless(b store.Backend, key string, v []byte, ttl time.Duration) error {
	return b.Set(context.Background(), key, v, ttl)
}

// givingUp is wrong about contexts that are done.
type givingUp struct {
	store.Backend
	get   error  // what Get answers, if not nil
	locks bool   // TryLock gives out a lease
	tells string // Delete tells this and the key
}

func (g givingUp) Get(ctx context.Context, key string) ([]byte, error) {
	if ctx.Err() != nil && g.get != nil {
		return nil, g.get
	}
	return g.Backend.Get(ctx, key)
}

func (g givingUp) Delete(ctx context.Context, key string) (bool, error) {
	if err := ctx.Err(); err != nil && g.tells != "" {
		return false, fmt.Errorf("%s%s: %w", g.tells, key, err)
	}
	return g.Backend.Delete(ctx, key)
}

func (g givingUp) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if g.locks {
		ctx = context.WithoutCancel(ctx)
	}
	return g.Backend.(store.Locker).TryLock(ctx, name, ttl)
}

func (g givingUp) Unwrap() any { return g.Backend }
