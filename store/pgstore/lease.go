package pgstore

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/store"
)

// leaseKeys begins the keys of leases, which are rows beside the values: no key of a value, and no
// range of such keys, has a tilde in it.
const leaseKeys = "~lock~"

// lease is a row whose value is its holder's token.
type lease struct {
	backend *Backend
	name    string
	token   []byte
}

// TryLock implements [store.Locker]. A lease is a row of the table of values. It may be taken although
// TryLock fails, when the server's answer is lost; it then ends with its ttl, by the server's clock.
// A standby that takes over may not know of a lease: two can hold it then, until the first one's ttl
// is over.
func (b *Backend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if err := driver.CheckLease("lock", name, ttl); err != nil {
		return nil, false, err
	}
	l := &lease{backend: b, name: name, token: make([]byte, 16)}
	rand.Read(l.token)
	var taken bool
	err := b.one(ctx, "lock", name, &taken, b.sql.lock, leaseKeys+name, l.token, microseconds(ttl))
	switch {
	case err == pgx.ErrNoRows:
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return l, true, nil
}

// Unlock implements [store.Lease]. It may be called again, also after an error.
func (l *lease) Unlock(ctx context.Context) (held bool, err error) {
	b := l.backend
	err = b.one(ctx, "unlock", l.name, &held, b.sql.unlock, leaseKeys+l.name, l.token)
	if err == pgx.ErrNoRows {
		return false, nil
	}
	return held, err
}
