package cachekitstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/option"
	"github.com/freshet-go/freshet/store/internal/trust"
)

// Config says which service to use and how. APIKey or APIKeyFile is required. ParseURL makes one of
// a URL, whose options are the names in parentheses.
type Config struct {
	// APIKey (token) is the key that the service knows you by, as in "ck_live_…": whose values you
	// see. No error shows it.
	APIKey string
	// APIKeyFile (token_file) is a file with the key, in the place of APIKey. It is read again as
	// requests come, once a second at most, and when the service refuses the key: a new one needs
	// no restart. While the file cannot be read, the former key is sent. Default: none.
	APIKeyFile string
	// URL is where the service is. Its scheme is https, and its host api.cachekit.io,
	// api.staging.cachekit.io or below one of them, unless AllowCustomHost is set. A path goes
	// before the API's own, /v1/cache. Default "https://api.cachekit.io".
	URL string
	// AllowCustomHost (allow_custom_host) allows other hosts, which then get the key.
	AllowCustomHost bool

	// Allow (allow) has addresses to use although they are loopback, private, link-local, multicast
	// or reserved; in a URL with commas between them, as in allow=10.0.0.0/8,127.0.0.1. Default:
	// public addresses alone.
	Allow []netip.Prefix
	// CAFile (ca_file) is a file of PEM certificates to trust. Default: the system's.
	CAFile string

	// MaxItemSize (max_item_size) is the longest value to store or to read, in bytes. 1 KiB to
	// 1 GiB. Default 25,000,000: the service takes 25 MB.
	MaxItemSize int
	// PoolSize (pool_size) is how many connections are open at most over HTTP/1.1, in use or idle;
	// calls wait for one within their Timeout. Over HTTP/2, which the service speaks, calls share
	// connections. 1 to 10,000. Default 64.
	PoolSize int
	// DialTimeout (dial_timeout) bounds the making of a connection, name resolution included, and
	// the handshake of TLS once more. 1 millisecond to 1 hour. Default 2 seconds.
	DialTimeout time.Duration
	// Timeout (timeout) bounds each request with its answer when the call's context allows for
	// longer. Delete, Expire and TTL make up to two. 1 millisecond to 1 hour. Default 5 seconds.
	Timeout time.Duration

	// NearHits returns how many requests a tier before the Backend has answered; the service shows
	// it in its statistics. It is called for each request. Default: the service learns that there
	// is no such tier.
	NearHits func() uint64

	dial func(ctx context.Context, network, address string) (net.Conn, error) // of tests; nil: TCP
}

const (
	defaultURL                   = "https://api.cachekit.io"
	defaultItemSize              = 25_000_000
	minItemSize, maxItemSize     = 1 << 10, 1 << 30
	defaultPoolSize, maxPoolSize = 64, 10_000
	defaultDialTimeout           = 2 * time.Second
	defaultTimeout               = 5 * time.Second
	minTimeout, maxTimeout       = time.Millisecond, time.Hour
)

// hosts are the service's own.
var hosts = []string{"api.cachekit.io", "api.staging.cachekit.io"}

// check returns c with its defaults filled in and its URL, or an error that says what is wrong with
// it.
func (c Config) check() (Config, *url.URL, error) {
	c.URL = cmp.Or(c.URL, defaultURL)
	c.MaxItemSize = cmp.Or(c.MaxItemSize, defaultItemSize)
	c.PoolSize = cmp.Or(c.PoolSize, defaultPoolSize)
	c.DialTimeout = cmp.Or(c.DialTimeout, defaultDialTimeout)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.Allow = slices.Clone(c.Allow)
	base, err := httpclient.Base(c.URL, "https")
	err = cmp.Or(err,
		c.checkHost(base),
		c.checkKey(),
		httpclient.CheckAllow(c.Allow),
		option.Within("max_item_size", c.MaxItemSize, minItemSize, maxItemSize),
		option.Within("pool_size", c.PoolSize, 1, maxPoolSize),
		option.Within("dial_timeout", c.DialTimeout, minTimeout, maxTimeout),
		option.Within("timeout", c.Timeout, minTimeout, maxTimeout),
	)
	if err != nil {
		return c, nil, fmt.Errorf("%s: %w", driver, err)
	}
	return c, base, nil
}

// checkHost refuses to send the key to others than the service. The base may be nil.
func (c Config) checkHost(base *url.URL) error {
	if base == nil || c.AllowCustomHost {
		return nil
	}
	name := strings.ToLower(base.Hostname())
	for _, host := range hosts {
		if name == host || strings.HasSuffix(name, "."+host) {
			return nil
		}
	}
	return fmt.Errorf("the host %.100q is not the service's: %s and what is below them are allowed, "+
		"and with allow_custom_host any, which then gets the key", name, strings.Join(hosts, ", "))
}

func (c Config) checkKey() error {
	switch {
	case c.APIKey == "" && c.APIKeyFile == "":
		return errors.New("no key for the service: name it in the URL, as cachekit://KEY@" + hosts[0] +
			", or its file with token_file")
	case c.APIKey != "" && c.APIKeyFile != "":
		return errors.New("a key and a token_file; one of them is allowed")
	case strings.ContainsAny(c.APIKey, " \t"):
		return errors.New("the key has a space in it, which no key has")
	}
	_, err := httpclient.Fixed("Bearer " + c.APIKey)
	if err != nil && c.APIKey != "" {
		return errors.New("the key is too long, or has bytes that no key has; printable ASCII is allowed")
	}
	return nil
}

// client returns what asks the service.
func (c Config) client(base *url.URL) (*httpclient.Client, error) {
	certificates, err := trust.Files{CA: c.CAFile}.Config()
	var credential *httpclient.Credential
	if err == nil && c.APIKeyFile != "" {
		credential, err = httpclient.FromFile("Bearer", c.APIKeyFile)
	} else if err == nil {
		credential, err = httpclient.Fixed("Bearer " + c.APIKey)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", driver, err)
	}
	return httpclient.New(httpclient.Config{
		Driver: driver, Agent: "freshet-cachekitstore", Host: base.Host, Credential: credential,
		Allow: c.Allow, TLS: certificates, Plain: "only https is allowed",
		MaxBody: int64(c.MaxItemSize), PoolSize: c.PoolSize,
		DialTimeout: c.DialTimeout, Timeout: c.Timeout, Dial: c.dial,
	}), nil
}
