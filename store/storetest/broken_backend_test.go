package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// bent is a Backend with some methods bent out of shape.
type bent struct {
	store.Backend
	get    func(b store.Backend, key string) ([]byte, error)
	set    func(b store.Backend, key string, value []byte, ttl time.Duration) error
	delete func(b store.Backend, key string) (bool, error)
	exists func(b store.Backend, key string) (bool, error)
	health func() (store.Health, error)
}

func (b bent) Get(ctx context.Context, key string) ([]byte, error) {
	if b.get != nil {
		return b.get(b.Backend, key)
	}
	return b.Backend.Get(ctx, key)
}

func (b bent) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if b.set != nil {
		return b.set(b.Backend, key, value, ttl)
	}
	return b.Backend.Set(ctx, key, value, ttl)
}

func (b bent) Delete(ctx context.Context, key string) (bool, error) {
	if b.delete != nil {
		return b.delete(b.Backend, key)
	}
	return b.Backend.Delete(ctx, key)
}

func (b bent) Exists(ctx context.Context, key string) (bool, error) {
	if b.exists != nil {
		return b.exists(b.Backend, key)
	}
	return b.Backend.Exists(ctx, key)
}

func (b bent) Health(ctx context.Context) (store.Health, error) {
	if b.health != nil {
		return b.health()
	}
	return b.Backend.Health(ctx)
}

func TestBackendRulesFindFaults(t *testing.T) {
	bg := context.Background()
	faults := finder[store.Backend]{rules: slices.Concat(valueRules, lifetimeRules, callRules)}
	cut := func(n int) func(store.Backend, string, []byte, time.Duration) error {
		return func(b store.Backend, key string, v []byte, ttl time.Duration) error {
			return b.Set(bg, key[:min(n, len(key))], v, ttl)
		}
	}
	for _, tt := range []struct {
		fault string
		bent  func() bent
		rule  string // must break; others may
	}{
		{"not found is another error", func() bent {
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				v, err := b.Get(bg, key)
				if err != nil {
					err = errors.New("no such key")
				}
				return v, err
			}}
		}, "a key that was never set is ErrNotFound"},
		{"not found is no error", func() bent {
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				v, _ := b.Get(bg, key)
				return v, nil
			}}
		}, "a key that was never set is ErrNotFound"},
		{"values are text", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				return b.Set(bg, key, []byte(strings.ToValidUTF8(string(v), "?")), ttl)
			}}
		}, "a value comes back byte for byte"},
		{"great values are dropped in silence", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if len(v) > 1000 {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a value comes back byte for byte"},
		{"empty is not there", func() bent {
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				v, err := b.Get(bg, key)
				if len(v) == 0 {
					err = store.ErrNotFound
				}
				return v, err
			}}
		}, "an empty value is a value"},
		{"keys fold case", func() bent {
			return bent{
				get: func(b store.Backend, key string) ([]byte, error) {
					return b.Get(bg, strings.ToLower(key))
				},
				set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
					return b.Set(bg, strings.ToLower(key), v, ttl)
				},
				exists: func(b store.Backend, key string) (bool, error) {
					return b.Exists(bg, strings.ToLower(key))
				},
			}
		}, "every allowed key works, and keys that differ are different"},
		{"keys are cut", func() bent {
			return bent{
				get: func(b store.Backend, key string) ([]byte, error) {
					return b.Get(bg, key[:min(199, len(key))])
				},
				set: cut(199),
				exists: func(b store.Backend, key string) (bool, error) {
					return b.Exists(bg, key[:min(199, len(key))])
				},
			}
		}, "every allowed key works, and keys that differ are different"},
		{"Delete does nothing", func() bent {
			return bent{delete: func(store.Backend, string) (bool, error) { return true, nil }}
		}, "Delete removes, and tells whether there was anything"},
		{"Delete always says true", func() bent {
			return bent{delete: func(b store.Backend, key string) (bool, error) {
				_, err := b.Delete(bg, key)
				return true, err
			}}
		}, "Delete removes, and tells whether there was anything"},
		{"Exists always says true", func() bent {
			return bent{exists: func(store.Backend, string) (bool, error) { return true, nil }}
		}, "a key that was never set is ErrNotFound"},
		{"the first Set stays", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if found, _ := b.Exists(bg, key); found {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "Set takes the place of what was there"},
		{"no value ends", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, _ time.Duration) error {
				return b.Set(bg, key, v, time.Hour)
			}}
		}, "a value ends with its ttl"},
		{"milliseconds for seconds", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				return b.Set(bg, key, v, ttl/1000)
			}}
		}, "a value is there until its ttl ends"},
		{"less than a second is for ever", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl > 0 && ttl < time.Second {
					ttl = time.Hour
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a ttl below the backend's unit still ends"},
		{"0 is for ever", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl <= 0 {
					ttl = time.Hour
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a ttl of 0 or less stores nothing and removes what was there"},
		{"0 is ignored", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl <= 0 {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a ttl of 0 or less stores nothing and removes what was there"},
		{"0 is an error", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl <= 0 {
					return errors.New("invalid expire time")
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a ttl of 0 or less stores nothing and removes what was there"},
		{"more than 30 days is a date", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl > 30*24*time.Hour {
					ttl = 0
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a long ttl is not an error and not the past"},
		{"the first lifetime stays", func() bent {
			first := map[string]time.Duration{}
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if _, ok := first[key]; !ok {
					first[key] = ttl
				}
				return b.Set(bg, key, v, first[key])
			}}
		}, "Set replaces the ttl, too"},
		{"the slice itself is kept", func() bent {
			kept := map[string][]byte{}
			return bent{
				set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
					kept[key] = v
					return b.Set(bg, key, v, ttl)
				},
				get: func(b store.Backend, key string) ([]byte, error) { return kept[key], nil },
			}
		}, "the backend keeps its own copy"},
		{"one buffer for all answers", func() bent {
			buffer := make([]byte, 0, 2_000_000)
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				v, err := b.Get(bg, key)
				return append(buffer[:0], v...), err
			}}
		}, "what Get returned stays as it is"},
		{"a hundred keys are enough", func() bent {
			n := 0
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if n++; n > 100 {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "many keys are kept at once"},
		{"answers cross", func() bent {
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				return b.Get(bg, "key-0")
			}}
		}, "concurrent calls do not mix values"},
		{"nameless", func() bent {
			return bent{health: func() (store.Health, error) { return store.Health{}, nil }}
		}, "Health names the backend"},
	} {
		faults.add(tt.fault, tt.rule, func() store.Backend {
			b := tt.bent()
			b.Backend = newMapBackend(nil)
			return b
		})
	}
	faults.run(t)
}
