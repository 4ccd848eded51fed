package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

var lockRules = []rule[able[store.Locker]]{{
	name:  "of many who try at once, one gets the lease",
	why:   "that is what a lock is for: one fills while the others wait",
	check: lockAtOnce,
}, {
	name: "Unlock frees the lease, and tells whether it was held",
	why: "the next one need not wait for the end of the ttl; a second Unlock, in a defer, does " +
		"no harm",
	check: func(ctx context.Context, b able[store.Locker], _ Options) error {
		for range 2 {
			l, err := lock(ctx, b, "name", time.Hour)
			if err != nil {
				return err
			}
			if err := locked(ctx, b, "name"); err != nil {
				return err
			}
			for _, want := range []bool{true, false, false} {
				if err := unlock(ctx, l, want); err != nil {
					return err
				}
			}
		}
		return nil
	},
}, {
	name: "an Unlock that comes late does not free the next one's lease",
	why:  "who was slow, or was stopped for a while, would let a third one in",
	check: func(ctx context.Context, b able[store.Locker], _ Options) error {
		first, err := lock(ctx, b, "name", time.Hour)
		if err != nil {
			return err
		}
		if err := unlock(ctx, first, true); err != nil {
			return err
		}
		second, err := lock(ctx, b, "name", time.Hour)
		if err != nil {
			return err
		}
		if err := unlock(ctx, first, false); err != nil {
			return err
		}
		if err := locked(ctx, b, "name"); err != nil {
			return fmt.Errorf("after the first holder's second Unlock: %w", err)
		}
		return unlock(ctx, second, true)
	},
}, {
	name:  "a lease ends by itself after its ttl, and then belongs to the next one",
	why:   "its holder may have died",
	check: lockEnds,
}, {
	name: "a lease is held until its ttl ends",
	why:  "units are easily confused, and a lock that opens early is none",
	check: func(ctx context.Context, b able[store.Locker], o Options) error {
		start := time.Now()
		l, err := lock(ctx, b, "name", 4*o.TTL)
		if err != nil {
			return err
		}
		time.Sleep(o.TTL)
		err = locked(ctx, b, "name")
		if err == nil {
			err = unlock(ctx, l, true)
		}
		if passed := time.Since(start); err != nil && passed < 3*o.TTL { // a machine may stall
			return fmt.Errorf("%v after TryLock for %v: %w", passed, 4*o.TTL, err)
		}
		return nil
	},
}, {
	name: "a ttl of 0 or less is an error, and nobody gets the lease",
	why: "servers read 0 and negative numbers as for ever, or as at once: a lock that nobody " +
		"can open, or one that everybody can",
	check: func(ctx context.Context, b able[store.Locker], _ Options) error {
		for _, ttl := range []time.Duration{0, -1, -time.Hour, -1 << 63} {
			if _, ok, err := b.can.TryLock(ctx, "name", ttl); ok || err == nil {
				return fmt.Errorf("TryLock for %v: %t, %v; want false and an error", ttl, ok, err)
			}
		}
		l, err := lock(ctx, b, "name", time.Hour)
		if err != nil {
			return err
		}
		return unlock(ctx, l, true)
	},
}, {
	name: "a long ttl is not an error and not the past",
	why:  "Memcached takes more than 30 days for a date in 1970, and sums overflow",
	check: func(ctx context.Context, b able[store.Locker], _ Options) error {
		for _, ttl := range []time.Duration{90 * time.Second, 31 * day, 100 * 365 * day,
			1<<63 - 1} {
			l, err := lock(ctx, b, "name", ttl)
			if err == nil {
				err = locked(ctx, b, "name")
			}
			if err == nil {
				err = unlock(ctx, l, true)
			}
			if err != nil {
				return fmt.Errorf("a lease for %v: %w", ttl, err)
			}
		}
		return nil
	},
}, {
	name: "leases of other names are free",
	why:  "names that meet in one lease make those wait who have nothing to do with each other",
	check: func(ctx context.Context, b able[store.Locker], _ Options) error {
		long := strings.Repeat("n", 199)
		names := []string{"a", "A", "ab", "a.b", "a:b", "a-b", "a_b", ".", "..", ":", "0", long,
			long + "1", long + "2", "1" + long}
		var leases []store.Lease
		for _, name := range names {
			l, err := lock(ctx, b, name, time.Hour)
			if err != nil {
				return err
			}
			leases = append(leases, l)
		}
		for i, l := range leases {
			if err := locked(ctx, b, names[i]); err != nil {
				return err
			}
			if err := unlock(ctx, l, true); err != nil {
				return fmt.Errorf("lease %q: %w", names[i], err)
			}
		}
		return nil
	},
}, {
	name: "a lease and a value of one name know nothing of each other",
	why: "the lease on a page is best named like the page; neither may overwrite, end or free " +
		"the other",
	check: func(ctx context.Context, b able[store.Locker], _ Options) error {
		if err := setAndFind(ctx, b, "name", []byte("v")); err != nil {
			return err
		}
		l, err := lock(ctx, b, "name", time.Hour)
		if err != nil {
			return fmt.Errorf("when there is a value of that name: %w", err)
		}
		if err := find(ctx, b, "name", []byte("v")); err != nil {
			return fmt.Errorf("after TryLock: %w", err)
		}
		if err := setAndFind(ctx, b, "name", []byte("w")); err != nil {
			return err
		}
		if existed, err := b.Delete(ctx, "name"); !existed || err != nil {
			return fmt.Errorf("Delete of the value: existed %t, %v", existed, err)
		}
		if err := errors.Join(absent(ctx, b, "name"), locked(ctx, b, "name")); err != nil {
			return fmt.Errorf("after Delete of the value: %w", err)
		}
		if err := setAndFind(ctx, b, "name", []byte("x")); err != nil {
			return err
		}
		if err := unlock(ctx, l, true); err != nil {
			return err
		}
		return find(ctx, b, "name", []byte("x"))
	},
}}

func lock(
	ctx context.Context, b able[store.Locker], name string, ttl time.Duration,
) (store.Lease, error) {
	l, ok, err := b.can.TryLock(ctx, name, ttl)
	if !ok || err != nil || l == nil {
		return nil, fmt.Errorf("TryLock(%.100q, %v) of a lease that nobody holds: %v, %t, %v", name,
			ttl, l, ok, err)
	}
	return l, nil
}

// locked reports whether somebody holds the lease.
func locked(ctx context.Context, b able[store.Locker], name string) error {
	if _, ok, err := b.can.TryLock(ctx, name, time.Hour); ok || err != nil {
		return fmt.Errorf("TryLock(%.100q) of a lease that is held: %t, %v; want false, nil", name,
			ok, err)
	}
	return nil
}

func unlock(ctx context.Context, l store.Lease, want bool) error {
	if held, err := l.Unlock(ctx); held != want || err != nil {
		return fmt.Errorf("Unlock: held %t, %v; want %t, nil", held, err, want)
	}
	return nil
}

func lockAtOnce(ctx context.Context, b able[store.Locker], _ Options) error {
	const many = 20
	for round := range 5 {
		var all sync.WaitGroup
		leases, errs := make([]store.Lease, many), make([]error, many)
		for i := range many {
			all.Go(func() {
				l, ok, err := b.can.TryLock(ctx, fmt.Sprint("name-", round), time.Hour)
				if errs[i] = err; ok {
					leases[i] = l
				}
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("TryLock: %w", err)
		}
		got := slices.DeleteFunc(leases, func(l store.Lease) bool { return l == nil })
		if len(got) != 1 {
			return fmt.Errorf("%d of %d got the lease", len(got), many)
		}
		if err := unlock(ctx, got[0], true); err != nil {
			return err
		}
	}
	return nil
}

func lockEnds(ctx context.Context, b able[store.Locker], o Options) error {
	alone, err := lock(ctx, b, "alone", o.TTL)
	if err != nil {
		return err
	}
	tiny, err := lock(ctx, b, "tiny", 1)
	if err != nil {
		return err
	}
	first, err := lock(ctx, b, "name", o.TTL)
	if err != nil {
		return err
	}
	time.Sleep(o.TTL + o.Margin)
	for name, l := range map[string]store.Lease{"alone": alone, "tiny": tiny} {
		if err := unlock(ctx, l, false); err != nil {
			return fmt.Errorf("lease %q, which has ended: %w", name, err)
		}
	}
	second, err := lock(ctx, b, "name", time.Hour)
	if err != nil {
		return fmt.Errorf("%v after TryLock for %v: %w", o.TTL+o.Margin, o.TTL, err)
	}
	if err := unlock(ctx, first, false); err != nil {
		return fmt.Errorf("the first holder, whose lease has ended: %w", err)
	}
	if err := locked(ctx, b, "name"); err != nil {
		return fmt.Errorf("after the first holder's late Unlock: %w", err)
	}
	return unlock(ctx, second, true)
}
