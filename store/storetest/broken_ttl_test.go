package storetest

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

func TestTTLRulesFindFaults(t *testing.T) {
	const (
		unknown = "the lifetime of a key that is not there is ErrNotFound"
		exact   = "what is left is what was set, less the time that has passed"
		less    = "what is left grows less, and reading does not change it"
		longest = "the longest lifetime is one"
		prefix  = "a Store's prefix is in the keys that TTL takes"
	)
	bg := context.Background()
	var faults abilityFaults[store.TTLer]
	faults.rules = ttlRules
	bend := func(name, rule string, ttl func(*fullBackend, string) (time.Duration, error)) {
		faults.bend(name, rule, func() bentFull { return bentFull{ttl: ttl} })
	}
	// told bends what TTL tells of what is there.
	told := func(ttl func(left time.Duration) time.Duration) func(*fullBackend,
		string) (time.Duration, error) {
		return func(f *fullBackend, key string) (time.Duration, error) {
			left, err := f.TTL(bg, key)
			return ttl(left), err
		}
	}
	bend("-2 for what is not there", unknown, func(f *fullBackend, key string) (time.Duration,
		error) {
		left, err := f.TTL(bg, key)
		if err != nil {
			return -2, nil
		}
		return left, nil
	})
	bend("what has ended has a lifetime", unknown, func(f *fullBackend, key string) (time.Duration,
		error) {
		if v, ok := f.values[key]; ok {
			return time.Until(v.expires), nil
		}
		return 0, store.ErrNotFound
	})
	bend("the seconds of the minute", exact, told(func(left time.Duration) time.Duration {
		return left % time.Minute
	}))
	bend("milliseconds for seconds", exact, told(func(left time.Duration) time.Duration {
		return left / 1000
	}))
	bend("30 days at most", exact, told(func(left time.Duration) time.Duration {
		return min(left, 30*day)
	}))
	bend("what was set, for ever", less, told(func(left time.Duration) time.Duration {
		return left.Round(time.Minute)
	}))
	faults.bend("reading extends", less, func() bentFull {
		return bentFull{get: func(f *fullBackend, key string) ([]byte, error) {
			f.Expire(bg, key, 2*time.Hour)
			return f.Get(bg, key)
		}}
	})
	bend("the sum overflows", longest, told(func(left time.Duration) time.Duration {
		return 5 * left / 5
	}))
	bend("the prefix is cut off", prefix, func(f *fullBackend, key string) (time.Duration, error) {
		return f.TTL(bg, strings.TrimPrefix(key, "prefix_"))
	})
	faults.run(t)
}

func TestExpireRulesFindFaults(t *testing.T) {
	const (
		changes   = "Expire makes a lifetime shorter, and longer"
		removes   = "Expire for 0 or less removes"
		phantom   = "a key that is not there stays so, and Expire says that nothing was there"
		unchanged = "Expire leaves the value as it is, and other keys alone"
		all       = "every lifetime that Set takes, Expire takes"
		old       = "Expire never brings back an old value"
		prefix    = "a Store's prefix is in the keys that Expire takes"
	)
	bg := context.Background()
	var faults abilityFaults[store.Expirer]
	faults.rules = expireRules
	bend := func(name, rule string, expire func(*fullBackend, string, time.Duration) (bool,
		error)) {
		faults.bend(name, rule, func() bentFull { return bentFull{expire: expire} })
	}
	bend("it only says so", changes, func(f *fullBackend, key string, _ time.Duration) (bool,
		error) {
		return f.Exists(bg, key)
	})
	bend("it only shortens", changes, func(f *fullBackend, key string, ttl time.Duration) (bool,
		error) {
		left, _ := f.TTL(bg, key)
		return f.Expire(bg, key, min(ttl, left))
	})
	bend("whole seconds, rounded down", changes, func(f *fullBackend, key string,
		ttl time.Duration) (bool, error) {
		if ttl = ttl.Truncate(time.Second); ttl == 0 {
			ttl = time.Hour
		}
		return f.Expire(bg, key, ttl)
	})
	bend("0 is for ever", removes, func(f *fullBackend, key string, ttl time.Duration) (bool,
		error) {
		if ttl <= 0 {
			ttl = day
		}
		return f.Expire(bg, key, ttl)
	})
	bend("0 removes, and says that nothing was there", removes, func(f *fullBackend, key string,
		ttl time.Duration) (bool, error) {
		existed, err := f.Expire(bg, key, ttl)
		return existed && ttl > 0, err
	})
	bend("a phantom", phantom, func(f *fullBackend, key string, ttl time.Duration) (bool, error) {
		v, err := f.Get(bg, key)
		f.Set(bg, key, v, ttl)
		return err == nil, nil
	})
	bend("there, always", phantom, func(f *fullBackend, key string, ttl time.Duration) (bool,
		error) {
		f.Expire(bg, key, ttl)
		return true, nil
	})
	bend("the value becomes text", unchanged, func(f *fullBackend, key string,
		ttl time.Duration) (bool, error) {
		v, err := f.Get(bg, key)
		if err != nil {
			return false, nil
		}
		return true, f.Set(bg, key, []byte(strings.ToValidUTF8(string(v), "?")), ttl)
	})
	bend("others end, too", unchanged, func(f *fullBackend, key string, ttl time.Duration) (bool,
		error) {
		f.Delete(bg, "number")
		return f.Expire(bg, key, ttl)
	})
	bend("more than 30 days is a date", all, func(f *fullBackend, key string,
		ttl time.Duration) (bool, error) {
		if ttl > 30*day {
			f.Delete(bg, key)
			return true, nil
		}
		return f.Expire(bg, key, ttl)
	})
	faults.bend("read, then set", old, func() bentFull {
		return bentFull{
			set: func(f *fullBackend, key string, v []byte, ttl time.Duration) error {
				time.Sleep(time.Millisecond)
				return f.Set(bg, key, v, ttl)
			},
			expire: func(f *fullBackend, key string, ttl time.Duration) (bool, error) {
				v, err := f.Get(bg, key)
				time.Sleep(1500 * time.Microsecond)
				if err != nil {
					return false, nil
				}
				return true, f.Set(bg, key, v, ttl)
			},
		}
	})
	bend("the prefix is cut off", prefix, func(f *fullBackend, key string, ttl time.Duration) (bool,
		error) {
		return f.Expire(bg, strings.TrimPrefix(key, "prefix_"), ttl)
	})
	faults.run(t)
}

// A backend that keeps nothing for longer than 30 days passes with Options.MaxTTL, and only as long
// as it keeps that.
func TestMaxTTL(t *testing.T) {
	for keeps, passes := range map[time.Duration]bool{29 * day: false, 30 * day: true, 40 * day: false} {
		synctest.Test(t, func(t *testing.T) {
			b := bentFull{fullBackend: newFull(true),
				ttl: func(f *fullBackend, key string) (time.Duration, error) {
					left, err := f.TTL(context.Background(), key)
					return min(left, keeps), err
				}}
			for _, r := range ttlRules {
				if !strings.HasPrefix(r.name, "what is left is what was set") {
					continue
				}
				err := r.check(t.Context(), able[store.TTLer]{b, b}, options([]Options{{MaxTTL: 30 * day}}))
				if (err == nil) != passes {
					t.Errorf("keeps %v at most: %v", keeps, err)
				}
			}
		})
	}
}
