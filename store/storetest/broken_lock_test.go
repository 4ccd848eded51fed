package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func TestLockRulesFindFaults(t *testing.T) {
	const (
		one     = "of many who try at once, one gets the lease"
		frees   = "Unlock frees the lease, and tells whether it was held"
		late    = "an Unlock that comes late does not free the next one's lease"
		ends    = "a lease ends by itself after its ttl, and then belongs to the next one"
		until   = "a lease is held until its ttl ends"
		zero    = "a ttl of 0 or less is an error, and nobody gets the lease"
		long    = "a long ttl is not an error and not the past"
		names   = "leases of other names are free"
		ofValue = "a lease and a value of one name know nothing of each other"
	)
	bg := context.Background()
	var faults abilityFaults[store.Locker]
	faults.rules = lockRules
	bend := func(name, rule string, lock func(*fullBackend, string, time.Duration) (store.Lease,
		bool, error)) {
		faults.bend(name, rule, func() bentFull { return bentFull{lock: lock} })
	}
	// unlocking bends what the leases do.
	unlocking := func(unlock func(f *fullBackend, l fullLease) (bool, error)) func(*fullBackend,
		string, time.Duration) (store.Lease, bool, error) {
		return func(f *fullBackend, name string, ttl time.Duration) (store.Lease, bool, error) {
			l, ok, err := f.TryLock(bg, name, ttl)
			if !ok {
				return nil, ok, err
			}
			return leaseFunc(func() (bool, error) { return unlock(f, l.(fullLease)) }), ok, err
		}
	}
	bend("look, then take", one, func(f *fullBackend, name string, ttl time.Duration) (store.Lease,
		bool, error) {
		f.mu.Lock()
		_, held := f.leases[name]
		f.mu.Unlock()
		time.Sleep(time.Millisecond)
		if held {
			return nil, false, nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.leases[name] = heldLease{"token", time.Now().Add(ttl)}
		return fullLease{f, name, "token"}, true, nil
	})
	bend("nobody ever gets it", one, func(*fullBackend, string, time.Duration) (store.Lease, bool,
		error) {
		return nil, false, nil
	})
	bend("held, always", frees, unlocking(func(f *fullBackend, l fullLease) (bool, error) {
		l.Unlock(bg)
		return true, nil
	}))
	bend("Unlock only says so", frees, unlocking(func(*fullBackend, fullLease) (bool, error) {
		return true, nil
	}))
	bend("a second Unlock is an error", frees, unlocking(func(_ *fullBackend, l fullLease) (bool,
		error) {
		held, err := l.Unlock(bg)
		if !held {
			err = errors.New("not held")
		}
		return held, err
	}))
	bend("no token", late, unlocking(func(f *fullBackend, l fullLease) (bool, error) {
		_, held := f.leases[l.name]
		delete(f.leases, l.name)
		return held, nil
	}))
	bend("it never ends", ends, func(f *fullBackend, name string, _ time.Duration) (store.Lease,
		bool, error) {
		return f.TryLock(bg, name, time.Hour)
	})
	bend("it ends for others, not for its holder", ends,
		unlocking(func(f *fullBackend, l fullLease) (bool, error) {
			held := f.leases[l.name].token == l.token
			delete(f.leases, l.name)
			return held, nil
		}))
	bend("milliseconds for seconds", until, func(f *fullBackend, name string,
		ttl time.Duration) (store.Lease, bool, error) {
		return f.TryLock(bg, name, ttl/1000)
	})
	bend("0 is an hour", zero, func(f *fullBackend, name string, ttl time.Duration) (store.Lease,
		bool, error) {
		if ttl <= 0 {
			ttl = time.Hour
		}
		return f.TryLock(bg, name, ttl)
	})
	bend("0 is an error, and an hour", zero, func(f *fullBackend, name string,
		ttl time.Duration) (store.Lease, bool, error) {
		if ttl <= 0 {
			f.TryLock(bg, name, time.Hour)
			return nil, false, errors.New("invalid expire time")
		}
		return f.TryLock(bg, name, ttl)
	})
	bend("more than 30 days is a date", long, func(f *fullBackend, name string,
		ttl time.Duration) (store.Lease, bool, error) {
		if ttl > 30*day {
			ttl = 1
		}
		l, ok, err := f.TryLock(bg, name, ttl)
		time.Sleep(1)
		return l, ok, err
	})
	bend("names fold case", names, func(f *fullBackend, name string,
		ttl time.Duration) (store.Lease, bool, error) {
		return f.TryLock(bg, strings.ToLower(name), ttl)
	})
	bend("names are hashed to little", names, func(f *fullBackend, name string,
		ttl time.Duration) (store.Lease, bool, error) {
		return f.TryLock(bg, string(name[0]%8), ttl)
	})
	bend("a value is in the way", ofValue, func(f *fullBackend, name string,
		ttl time.Duration) (store.Lease, bool, error) {
		if found, _ := f.Exists(bg, name); found {
			return nil, false, nil
		}
		return f.TryLock(bg, name, ttl)
	})
	bend("the lease is a value", ofValue, func(f *fullBackend, name string,
		ttl time.Duration) (store.Lease, bool, error) {
		f.Delete(bg, name)
		return f.TryLock(bg, name, ttl)
	})
	faults.run(t)
}

type leaseFunc func() (bool, error)

func (l leaseFunc) Unlock(context.Context) (bool, error) { return l() }

func TestMigrateRulesFindFaults(t *testing.T) {
	const (
		dry     = "a dry run changes nothing"
		once    = "Migrate does what is missing, once, and keeps what is there"
		at      = "Migrate may be called from several processes at once"
		missing = "what is missing is said, and until it is done every call fails"
	)
	bg := context.Background()
	var faults abilityFaults[store.Migrator]
	faults.rules = unmigratedRules
	bend := func(name, rule string, migrate func(*fullBackend, bool) ([]string, error)) {
		faults.bend(name, rule, func() bentFull {
			return bentFull{fullBackend: newFull(false), migrate: migrate}
		})
	}
	bend("no run is dry", dry, func(f *fullBackend, _ bool) ([]string, error) {
		return f.Migrate(bg, false)
	})
	bend("a dry run says less", dry, func(f *fullBackend, dryRun bool) ([]string, error) {
		steps, err := f.Migrate(bg, dryRun)
		if dryRun {
			steps = nil
		}
		return steps, err
	})
	bend("it says what it has done before", once, func(f *fullBackend, dryRun bool) ([]string,
		error) {
		f.Migrate(bg, dryRun)
		return []string{"create the table"}, nil
	})
	bend("it begins anew", once, func(f *fullBackend, dryRun bool) ([]string, error) {
		clear(f.values)
		return f.Migrate(bg, dryRun)
	})
	bend("look, then make", at, func(f *fullBackend, dryRun bool) ([]string, error) {
		if f.ready() == nil {
			return nil, nil
		}
		time.Sleep(time.Millisecond)
		if f.ready() == nil {
			return nil, errors.New("the table exists already")
		}
		return f.Migrate(bg, dryRun)
	})
	bend("nothing is missing", missing, func(*fullBackend, bool) ([]string, error) {
		return nil, nil
	})
	faults.bend("what is missing is a miss", missing, func() bentFull {
		return bentFull{fullBackend: newFull(false), get: func(f *fullBackend, key string) ([]byte,
			error) {
			return f.mapBackend.Get(bg, key)
		}}
	})
	faults.run(t)
}
