// Package redisstore keeps values in Redis: one server, one that Sentinels watch over, or a
// Cluster. Servers that speak Redis's protocol and run its Lua scripts do as well. Redis 5 is the
// oldest that will do, and 3.2 without the journal.
//
// Values lie under their keys, as Redis strings with a lifetime in milliseconds. Leases lie under
// "~lock~" and the lease's name, a journal under "{~journal~" and its prefix and "}", and its
// members under that and "members": names that no value's key can have. Give Redis a bound
// (maxmemory) and have it evict what has a lifetime (maxmemory-policy volatile-lru or
// volatile-ttl): values and leases have one, the journal and its members have none. With
// noeviction, a server that is full refuses every Set. With allkeys-lru and allkeys-random it may
// evict the journal; with allkeys-lfu it did not when that was tried.
//
// A value that the server loses, by eviction, a restart or a failover, is a miss. When the journal
// loses marks, all who follow it get an invalidation of everything.
//
// The client below, go-redis, has a log of its own, on standard error, for the whole process. A
// server that cannot be reached is not written there: errors say it. Of Sentinels go-redis writes
// which server they name, and which of them do not answer; its package logging turns that off.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
)

// Backend keeps values in Redis. It is safe for concurrent use.
//
// A call ends with its context's deadline, or after Config.Timeout when that comes first. A call
// that waits for the server does not notice that its context is cancelled before the deadline. When
// the server has closed a call's connection, the Backend repeats the call once, within that time,
// on a fresh one.
type Backend struct {
	client redis.UniversalClient
	owned  bool   // by the Backend, which closes it
	server string // for people
	hint   string // what it may mean when the server hangs up; empty: nothing in particular

	written atomic.Bool // something was set since a watcher touched its journal

	// how many replicas must have a mark, and how long to wait for them; 0: none
	waitReplicas int
	waitTimeout  time.Duration
}

var (
	_ store.Backend   = (*Backend)(nil)
	_ store.TTLer     = (*Backend)(nil)
	_ store.Expirer   = (*Backend)(nil)
	_ store.Flusher   = (*Backend)(nil)
	_ store.Lister    = (*Backend)(nil)
	_ store.Locker    = (*Backend)(nil)
	_ store.Journaler = (*Backend)(nil)
)

// New returns a Backend for the server that c names. It asks no server: it fails only when c is not
// allowed. Health reports whether the server answers and lets us in.
func New(c Config) (*Backend, error) {
	checked, err := c.check()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s: %w", c, err)
	}
	o, err := checked.options()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s: %w", c, err)
	}
	return &Backend{client: repeated(redis.NewUniversalClient(o)), owned: true, server: c.String(),
		hint:         c.hangUpHint(),
		waitReplicas: checked.WaitReplicas, waitTimeout: checked.WaitTimeout}, nil
}

// NewFrom returns a Backend that uses a client of the caller's: a *redis.Client (with Sentinels
// too) or a *redis.ClusterClient. The caller closes it after the Backend. Set its
// ContextTimeoutEnabled, or calls do not end with their contexts, and its MaxRetries to 1 at least,
// or calls fail whose connection the server has closed.
func NewFrom(client redis.UniversalClient) (*Backend, error) {
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		return &Backend{client: c, server: fmt.Sprintf("%s/%d", o.Addr, o.DB)}, nil
	case *redis.ClusterClient:
		return &Backend{client: c, server: strings.Join(c.Options().Addrs, ",")}, nil
	}
	return nil, fmt.Errorf("redisstore: client is %T; *redis.Client and *redis.ClusterClient are "+
		"allowed", client)
}

// Close ends all connections, unless they are those of NewFrom's client. Calls after it fail.
func (b *Backend) Close() error {
	if !b.owned {
		return nil
	}
	if err := b.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fail(context.Background(), "close", "", err)
	}
	return nil
}

// masters are the servers that hold the keys: one, or those of the Cluster.
func (b *Backend) masters(ctx context.Context) ([]*redis.Client, error) {
	switch client := b.client.(type) {
	case *redis.ClusterClient:
		found := make(chan *redis.Client, maxMasters)
		err := client.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
			found <- master
			return nil
		})
		close(found)
		var masters []*redis.Client
		for master := range found {
			masters = append(masters, master)
		}
		return masters, err
	default:
		return []*redis.Client{client.(*redis.Client)}, nil
	}
}

// maxMasters is how many a Cluster can have: one for each slot.
const maxMasters = 16384
