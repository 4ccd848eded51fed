// Package httpstore keeps values on an HTTP server that stores what it is sent: PUT, GET, HEAD and
// DELETE of {base}/{key}. WebDAV, object stores and a small service of your own are such servers.
//
// The request that stores a value tells the server its lifetime in a field of the header, or in the
// query, in whole seconds, rounded up. No server has to understand it: each value carries its end,
// to the millisecond by the writer's clock, in 16 bytes before it, and readers go by their own
// clock. A server that does not remove what has ended returns it, and the Backend calls it not
// found; its room does not come back by itself.
//
// The Backend checks the address of each connection when it is dialled, after the name is resolved:
// it refuses loopback, private, link-local, multicast and reserved addresses unless Config.Allow
// has them. It uses no proxy of the environment, follows at most three redirects, and those to the
// same scheme, host and port alone.
//
// Plain HTTP has no journal, no leases, no lists: the Backend is no store.Journaler, Locker, Lister
// or Flusher. A cache over it uses what it has stored itself, and nothing of another process's,
// unless its Options.Journal is a journal that they share.
package httpstore

import (
	"net/url"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/httpclient"
)

// Backend keeps values on an HTTP server. It is safe for concurrent use.
type Backend struct {
	config Config
	base   *url.URL // without a slash at its end
	client *httpclient.Client
}

var (
	_ store.Backend      = (*Backend)(nil)
	_ store.TTLer        = (*Backend)(nil)
	_ store.ValueLimited = (*Backend)(nil)
)

// New returns a Backend for the server that c names. It asks no server: it fails only when c is not
// allowed, or its TokenFile or its files of certificates cannot be read. It makes connections as
// calls need them, and resolves the name as it makes connections. Health reports whether the server
// stores and returns values.
func New(c Config) (*Backend, error) {
	c, base, err := c.check()
	if err != nil {
		return nil, err
	}
	client, err := c.client(base)
	if err != nil {
		return nil, err
	}
	return &Backend{c, base, client}, nil
}

// Close closes all connections. Calls in progress end with an error, as do all later ones.
func (b *Backend) Close() error {
	b.client.Close()
	return nil
}
