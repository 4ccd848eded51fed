// Package memcachestore keeps values on Memcached servers.
//
// Each value lies on one of the servers, chosen by rendezvous hashing of its key: where a server is
// added to n, one key in n+1 moves. A server that does not answer is an error for the keys that lie
// on it, every time; they do not move elsewhere. Of several servers, the errors of one match
// [store.ErrOneServer], and one that has not answered five times in a row is asked by one call each
// half second until it does.
//
// Memcached counts lifetimes in whole seconds and does not tell what is left of them. So each value
// carries its end, to the millisecond by the writer's clock, in 8 bytes before it; readers go by
// their own clock. A clock that is fast lets values end early by as much; one that is slow lets
// them end late by at most two seconds, when the server ends them itself. Values end in January
// 2038 at the latest, the farthest date that the client can tell the server.
//
// A journal lies on one server. With three servers or more, another one takes its place when that is
// gone: see package seat, and docs/backends.md.
//
// Memcached forgets when its memory is full, and when it restarts. Whatever lies here may be gone
// at any time.
package memcachestore

import (
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// Backend keeps values on Memcached servers. It is safe for concurrent use.
type Backend struct {
	config  Config
	servers *servers
	pool    *pool
}

var (
	_ store.Backend   = (*Backend)(nil)
	_ store.TTLer     = (*Backend)(nil)
	_ store.Expirer   = (*Backend)(nil)
	_ store.Flusher   = (*Backend)(nil)
	_ store.Lister    = (*Backend)(nil)
	_ store.Locker    = (*Backend)(nil)
	_ store.Journaler = (*Backend)(nil)

	_ store.ValueLimited = (*Backend)(nil)
)

// New returns a Backend for the servers that c names. It asks no server: it fails only when c is
// not allowed. It makes connections as calls need them, and resolves names as it makes connections.
// Health reports whether the servers answer, and take items of Config.MaxItemSize.
func New(c Config) (*Backend, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	s := newServers(c.Servers)
	return &Backend{config: c, servers: s, pool: newPool(c, s)}, nil
}

// Close closes all connections. Calls in progress end with an error, as do all later ones.
func (b *Backend) Close() error {
	b.pool.close()
	return nil
}

// expiration returns a ttl as the server takes it: whole seconds up to 30 days, and a date beyond.
// The server's seconds do not begin when a value is set: one more is added, so that no value ends
// early.
func expiration(ttl time.Duration, now time.Time) int32 {
	const month, lastDate = 30 * 24 * 60 * 60, 1<<31 - 1
	seconds := lifetime.Units(ttl, time.Second) + 1
	if seconds <= month {
		return int32(seconds)
	}
	if date := now.Unix() + seconds; date <= lastDate {
		return int32(date)
	}
	if lastDate > now.Unix()+month {
		return lastDate
	}
	return month
}
