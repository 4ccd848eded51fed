package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
)

// leaseKeys begins the keys of leases.
const leaseKeys = "~lock~"

// take sets a lease that is free, or that this very call has taken before its answer was lost.
var take = redis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
	return 1
elseif redis.call('GET', KEYS[1]) == ARGV[1] then
	return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0`)

// release removes a lease if it is still the one with that token.
var release = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
	return redis.call('DEL', KEYS[1])
end
return 0`)

type lease struct {
	backend     *Backend
	name, token string
}

// TryLock implements [store.Locker]. A lease may be taken although TryLock fails, when the server's
// answer is lost; it then ends with its ttl. When a server that Sentinels or a Cluster replace is
// lost, its successor may not know of a lease: two can hold it then, until the first one's ttl is
// over.
func (b *Backend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if err := driver.CheckLease("lock", name, ttl); err != nil {
		return nil, false, err
	}
	var random [16]byte
	rand.Read(random[:])
	l := &lease{backend: b, name: name, token: hex.EncodeToString(random[:])}
	taken, err := take.Run(ctx, b.client, []string{leaseKeys + name}, l.token,
		milliseconds(ttl).Milliseconds()).Int()
	switch {
	case err != nil:
		return nil, false, fail(ctx, "lock", name, err)
	case taken == 0:
		return nil, false, nil
	}
	return l, true, nil
}

// Unlock implements [store.Lease]. It may be called again, also after an error.
func (l *lease) Unlock(ctx context.Context) (held bool, err error) {
	n, err := release.Run(ctx, l.backend.client, []string{leaseKeys + l.name}, l.token).Int()
	if err != nil {
		return false, fail(ctx, "unlock", l.name, err)
	}
	return n > 0, nil
}
