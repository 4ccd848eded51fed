package memcachestore

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store/internal/keys"
	"github.com/freshet-go/freshet/store/internal/option"
)

// Oversize says what Set does with a value that is longer than an item may be.
type Oversize string

const (
	// OversizeRefuse makes Set fail with a permanent error and remove what was there.
	OversizeRefuse Oversize = "refuse"
	// OversizeSplit spreads the value over several items. All are needed to read it: where one is
	// lost the value is not there. Items of a value that was replaced stay on the servers for a
	// while.
	OversizeSplit Oversize = "split"
)

// Config says which servers are used, and how. The zero value is usable.
type Config struct {
	// Servers are host:port or host; the port is 11211 by default. Their order does not matter, the
	// text does: keys are spread by it, so that all who share the servers must write them alike.
	// Default: localhost:11211.
	Servers []string
	// PoolSize is the number of idle connections to keep to each server, 1 to 10,000. More calls at
	// once make more connections, which are closed again. Default: 64.
	PoolSize int
	// DialTimeout bounds the making of a connection, name resolution included; 1 millisecond to 1
	// minute. Default: 500 milliseconds.
	DialTimeout time.Duration
	// Timeout bounds each exchange with a server, from the request's first byte to the answer's
	// last; 1 millisecond to 1 minute. Contexts that end earlier are obeyed. Default: 500
	// milliseconds.
	Timeout time.Duration
	// MaxItemSize is the value of the servers' option -I: the largest item in bytes, with its key
	// and some 100 bytes of notes. 1 KiB to 1 GiB. Default: 1 MiB, as the servers'.
	MaxItemSize int
	// Oversize says what Set does with longer values. Default: OversizeRefuse, because a value
	// split into n items is lost n times as easily.
	Oversize Oversize
}

const (
	defaultServer = "localhost:11211"
	defaultPort   = "11211"

	defaultPoolSize, maxPoolSize = 64, 10_000
	defaultTimeout               = 500 * time.Millisecond
	minTimeout, maxTimeout       = time.Millisecond, time.Minute
	defaultItemSize              = 1 << 20
	minItemSize, maxItemSize     = 1 << 10, 1 << 30
	itemNotes                    = 128 // bytes that the server keeps besides key and value, at most
	endSize                      = 8   // of a value's end, see values.go
	maxDerived                   = 40  // bytes by which a derived key is longer, at most
)

// room is how many bytes of a value fit an item.
func (c Config) room() int { return c.MaxItemSize - itemNotes - keys.MaxLen - maxDerived - endSize }

// check returns c with its defaults filled in, or an error that says what is wrong with it.
func (c Config) check() (Config, error) {
	c.PoolSize = cmp.Or(c.PoolSize, defaultPoolSize)
	c.DialTimeout = cmp.Or(c.DialTimeout, defaultTimeout)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.MaxItemSize = cmp.Or(c.MaxItemSize, defaultItemSize)
	c.Oversize = cmp.Or(c.Oversize, OversizeRefuse)
	if len(c.Servers) == 0 {
		c.Servers = []string{defaultServer}
	}
	var err error
	if c.Servers, err = addresses(c.Servers); err != nil {
		return c, err
	}
	err = cmp.Or(
		option.Within("pool_size", c.PoolSize, 1, maxPoolSize),
		option.Within("dial_timeout", c.DialTimeout, minTimeout, maxTimeout),
		option.Within("timeout", c.Timeout, minTimeout, maxTimeout),
		option.Within("max_item_size", c.MaxItemSize, minItemSize, maxItemSize),
		c.Oversize.check(),
	)
	if err != nil {
		return c, fmt.Errorf("%s: %w", driver, err)
	}
	return c, nil
}

func (o Oversize) check() error {
	if o != OversizeRefuse && o != OversizeSplit {
		return fmt.Errorf("oversize=%.40q: refuse and split are allowed", string(o))
	}
	return nil
}

// addresses returns the servers as host:port, each once.
func addresses(servers []string) ([]string, error) {
	var all []string
	for _, s := range servers {
		address, err := address(s)
		if err != nil {
			return nil, fmt.Errorf("%s: server %.100q: %w; host:port, host and [IPv6]:port are "+
				"allowed", driver, s, err)
		}
		if slices.Contains(all, address) {
			return nil, fmt.Errorf("%s: server %.100q is named twice", driver, s)
		}
		all = append(all, address)
	}
	return all, nil
}

func address(s string) (string, error) {
	host, port := s, defaultPort
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		host = inner[:len(inner)-1]
	} else if strings.Contains(s, ":") {
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", errors.New("not host:port")
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case host == "":
		return "", errors.New("the host is missing")
	case strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`/?#@[],"\`, r)
	}):
		return "", errors.New("no name of a host")
	case err != nil || n == 0:
		return "", errors.New("the port is not a number from 1 to 65535")
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(n, 10)), nil
}
