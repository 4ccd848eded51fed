package open

import (
	"context"
	"slices"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/filestore"
	"github.com/freshet-go/freshet/store/memcachestore"
	"github.com/freshet-go/freshet/store/pgstore"
	"github.com/freshet-go/freshet/store/redisstore"
)

// driver is one way to keep bytes.
type driver struct {
	name    string
	schemes []string
	// open takes a URL without the options of this package. lazy: without asking the server.
	open func(ctx context.Context, rawURL string, lazy bool) (closer, error)
}

type closer interface {
	store.Backend
	Close() error
}

const memory = "memory"

var drivers = []driver{
	{memory, []string{"memory"}, nil},
	{"file", []string{"file"}, opener(filestore.ParseURL, filestore.Open, filestore.New)},
	{"redis", []string{"redis", "rediss", "redis+sentinel", "redis+cluster"}, opener(redisstore.ParseURL, redisstore.Open, redisstore.New)},
	{"postgresql", []string{"postgres", "postgresql"}, opener(pgstore.ParseURL, pgstore.Open, pgstore.New)},
	{"memcached", []string{"memcached"}, opener(memcachestore.ParseURL, memcachestore.Open, memcachestore.New)},
}

// opener makes one function of the three that each driver has.
func opener[C any, B closer](
	parse func(string) (C, error), open func(context.Context, C) (B, error), lazily func(C) (B, error),
) func(context.Context, string, bool) (closer, error) {
	return func(ctx context.Context, rawURL string, lazy bool) (closer, error) {
		c, err := parse(rawURL)
		if err != nil {
			return nil, err
		}
		start := func() (B, error) { return open(ctx, c) }
		if lazy {
			start = func() (B, error) { return lazily(c) }
		}
		b, err := start()
		if err != nil {
			return nil, err // and no B: a nil B in a closer is no nil closer
		}
		return b, nil
	}
}

func driverOf(scheme string) (driver, bool) {
	i := slices.IndexFunc(drivers, func(d driver) bool { return slices.Contains(d.schemes, scheme) })
	if i < 0 {
		return driver{}, false
	}
	return drivers[i], true
}
