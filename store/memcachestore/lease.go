package memcachestore

import (
	"bytes"
	"context"
	"crypto/rand"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// leaseKeys begins the keys of leases.
const leaseKeys = "~lock~"

// lease is a lease as its holder knows it.
type lease struct {
	backend *Backend
	name    string
	token   []byte
	end     time.Time // by the holder's own clock
}

// TryLock implements [store.Locker]. A lease that is not released lasts up to two seconds longer
// than ttl, because it is the server's clock, which counts in seconds, that ends it: clocks of
// holders may differ. A server that restarts or needs the memory forgets the lease.
func (b *Backend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	const op = "lock"
	if err := driver.CheckLease(op, name, ttl); err != nil {
		return nil, false, err
	}
	l := &lease{backend: b, name: name, token: make([]byte, 16), end: time.Now().Add(ttl)}
	rand.Read(l.token)
	item := &memcache.Item{Key: leaseKeys + name, Value: l.token, Flags: leaseToken,
		Expiration: expiration(ttl, time.Now())}
	tries := 0
	err := b.call(ctx, op, item.Key, repeated, func(c *memcache.Client) error {
		tries++
		return c.Add(item)
	})
	if err == memcache.ErrNotStored && tries > 1 { // by the first try, perhaps
		if held, err := l.get(ctx, op); held != nil || err != nil {
			return l, held != nil, err
		}
	}
	if err == nil {
		return l, true, nil
	}
	if fault.Made(err) {
		return nil, false, err
	}
	return nil, false, nil
}

// get returns the lease's item, or nil if it is held no more.
func (l *lease) get(ctx context.Context, op string) (item *memcache.Item, err error) {
	err = l.backend.call(ctx, op, leaseKeys+l.name, repeated, func(c *memcache.Client) (err error) {
		item, err = c.Get(leaseKeys + l.name)
		return err
	})
	if fault.Made(err) {
		return nil, err
	}
	if err != nil || !bytes.Equal(item.Value, l.token) {
		return nil, nil
	}
	return item, nil
}

// Unlock implements [store.Lease]. The lease is overwritten, if it is still the one that was read,
// by an item that has ended already: for the server that is a deletion on condition. After its ttl
// it is freed, too, if the server still has it, but was held no more.
func (l *lease) Unlock(ctx context.Context) (held bool, err error) {
	const op, past = "unlock", -1
	inTime := time.Now().Before(l.end)
	item, err := l.get(ctx, op)
	if item == nil || err != nil {
		return false, err
	}
	item.Value, item.Expiration = nil, past
	err = l.backend.call(ctx, op, item.Key, once, func(c *memcache.Client) error {
		return c.CompareAndSwap(item)
	})
	if fault.Made(err) {
		return false, err
	}
	return err == nil && inTime, nil
}
