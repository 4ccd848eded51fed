// Package dynamostore keeps values in a table of Amazon DynamoDB, or of a server that speaks its
// protocol.
//
// One table holds everything: its partition key is "key", its sort key "sort", both strings, and
// its time-to-live attribute is "expires". Migrate creates it. The package uses no transactions, no
// indexes and no streams.
//
// DynamoDB deletes expired items hours or days late, so each value carries its end, to the
// millisecond by the writer's clock, and readers take what has ended for a miss. A clock that
// differs from the server's by 2 seconds or more is corrected by the Date of its answers.
//
// An item has at most 400 KB. What is longer goes into several items, of which the one that names
// the others is written last and has a checksum of all (see Config.Oversize).
//
// It is a module of its own: the AWS SDK brings 15 modules along.
package dynamostore

import (
	"fmt"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/freshet-go/freshet/store"
)

// Backend keeps values in one table. It is safe for concurrent use.
type Backend struct {
	config Config
	client *dynamodb.Client
	wire   *wire // nil: the client is the caller's
	where  string
	clock  *clock
	closed atomic.Bool
	most   int // parts of a value, the first included
}

var (
	_ store.Backend      = (*Backend)(nil)
	_ store.TTLer        = (*Backend)(nil)
	_ store.Expirer      = (*Backend)(nil)
	_ store.Flusher      = (*Backend)(nil)
	_ store.Lister       = (*Backend)(nil)
	_ store.Migrator     = (*Backend)(nil)
	_ store.Locker       = (*Backend)(nil)
	_ store.Journaler    = (*Backend)(nil)
	_ store.ValueLimited = (*Backend)(nil)
)

// New returns a Backend for the table that c names. It reads the environment and the files of the
// AWS SDK and asks no server: it fails when c or what it read is not allowed. Health reports
// whether the server answers and has the table; Migrate creates it.
func New(c Config) (*Backend, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	clock := new(clock)
	w := newWire(c, clock)
	client, c, err := c.client(w)
	if err != nil {
		return nil, err
	}
	return newBackend(c, client, w, clock), nil
}

// NewFrom returns a Backend that uses a client of the caller's. Of c it takes Table, Region (for
// names alone), EventualReads, Oversize, Sweep and Timeout. The client should not retry: a call
// that takes long is worth less than the handler's answer. Clocks are not corrected.
func NewFrom(client *dynamodb.Client, c Config) (*Backend, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	if c.Region == "" {
		c.Region = client.Options().Region
	}
	return newBackend(c, client, nil, new(clock)), nil
}

func newBackend(c Config, client *dynamodb.Client, w *wire, clock *clock) *Backend {
	where := fmt.Sprintf("dynamodb://%s/%s", c.Region, c.Table)
	if at := client.Options().BaseEndpoint; at != nil {
		where += " at " + *at
	}
	return &Backend{config: c, client: client, wire: w, where: where, clock: clock, most: maxParts}
}

// Close closes all connections, unless the client is the caller's. Calls in progress end with an
// error, as do all later ones.
func (b *Backend) Close() error {
	if !b.closed.Swap(true) && b.wire != nil {
		b.wire.close()
	}
	return nil
}
