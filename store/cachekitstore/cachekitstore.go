// Package cachekitstore keeps values with CachekitIO, a service that caches bytes over HTTPS, or
// with a server of your own that answers as its specification says.
//
// The service ends values by itself, in whole seconds: a lifetime is rounded up, and 30 days are
// the longest. What it labels stale, because another client gave it a stale window, counts as not
// there: how long an entry may be served when it is stale is in the entry. The Backend sends no
// stale window. A near tier keeps an entry no longer than until the end that is in the entry
// itself, which is not later than the service's.
//
// It speaks https alone, and checks the address of each connection when it is dialled, after the
// name is resolved: it refuses loopback, private, link-local, multicast and reserved addresses
// unless Config.Allow has them. It uses no proxy of the environment and follows no redirect.
//
// The service gives out leases, and has no journal and no lists: the Backend is a store.Locker, a
// store.TTLer and a store.Expirer, and no store.Journaler, Lister or Flusher. A cache over it uses
// what it has stored itself, and nothing of another process's, unless its Options.Journal is a
// journal that they share.
package cachekitstore

import (
	"context"
	"net/http"
	"net/url"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/httpclient"
)

const driver = fault.Driver("cachekitstore")

// Backend keeps values with the service. It is safe for concurrent use.
type Backend struct {
	config    Config
	base      *url.URL // of the API, without a slash at its end
	client    *httpclient.Client
	telemetry *telemetry
}

var (
	_ store.Backend      = (*Backend)(nil)
	_ store.TTLer        = (*Backend)(nil)
	_ store.Expirer      = (*Backend)(nil)
	_ store.Locker       = (*Backend)(nil)
	_ store.ValueLimited = (*Backend)(nil)
)

// New returns a Backend for the service that c names. It asks no server: it fails only when c is
// not allowed, or its CAFile or APIKeyFile cannot be read. It makes connections as calls need them,
// and shares none with another Backend. Health reports whether the service takes the key.
func New(c Config) (*Backend, error) {
	c, base, err := c.check()
	if err != nil {
		return nil, err
	}
	client, err := c.client(base)
	if err != nil {
		return nil, err
	}
	return &Backend{c, httpclient.At(base, "v1/cache"), client, newTelemetry(c.NearHits)}, nil
}

// Close closes all connections. Calls in progress end with an error, as do all later ones.
func (b *Backend) Close() error {
	b.client.Close()
	return nil
}

// question is a request about a key.
type question struct {
	method string
	key    string
	about  string            // "": the value; "ttl", "lock"
	header map[string]string // besides the Backend's own
	body   []byte
	wants  bool // the body of the answer
}

type answer = httpclient.Answer

// maxJSON is the longest answer that is not a value, in bytes.
const maxJSON = 64 << 10

// ask sends a question and reads the answer. Its errors are those of the way and of answers that no
// status tells.
func (b *Backend) ask(ctx context.Context, q question) (answer, error) {
	to := httpclient.At(b.base, nameOf(q.key))
	asked := httpclient.Question{Method: q.method, To: to, Body: q.body, Wants: q.wants}
	if q.about != "" {
		asked.To, asked.Most = httpclient.At(to, q.about), maxJSON
	}
	asked.Header = func(h http.Header) {
		b.telemetry.set(h)
		for name, text := range q.header {
			h.Set(name, text)
		}
	}
	return b.client.Ask(ctx, asked)
}
