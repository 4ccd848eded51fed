package sealedstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/freshet-go/freshet/store"
)

type locker struct {
	b     *Backend
	inner store.Locker
}

// TryLock implements [store.Locker]. The server knows the lease by an HMAC of its name. While there
// are old keys, it takes a lease for each key, so that processes which seal with different keys, as
// in the midst of a rotation, exclude each other.
func (l locker) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if err := driver.CheckLease("lock", name, ttl); err != nil {
		return nil, false, err
	}
	var held leases
	for _, r := range l.b.byID() {
		lease, ok, err := l.inner.TryLock(ctx, l.b.space(name)+r.locate(nameOfLease, name).name(), ttl)
		if !ok || err != nil {
			// Those that were taken are released even if ctx has ended.
			held.Unlock(context.WithoutCancel(ctx))
			return nil, false, err
		}
		held = append(held, lease)
	}
	if len(held) == 1 {
		return held[0], true, nil
	}
	return held, true, nil
}

// byID returns the rings in an order that all processes share.
func (b *Backend) byID() []*ring {
	return slices.SortedFunc(slices.Values(b.rings), func(x, y *ring) int {
		return bytes.Compare(x.id[:], y.id[:])
	})
}

// leases are one lease under several names.
type leases []store.Lease

// Unlock implements [store.Lease].
func (all leases) Unlock(ctx context.Context) (held bool, err error) {
	held = true
	for _, lease := range slices.Backward(all) {
		was, failed := lease.Unlock(ctx)
		held, err = held && was, cmp.Or(err, failed)
	}
	return held && err == nil, err
}
