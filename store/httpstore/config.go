package httpstore

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store/internal/option"
)

// Config says which server to use and how. URL is required. ParseURL makes one of a URL, whose
// options are the names in parentheses.
type Config struct {
	// URL is the beginning of every value's URL, as in "https://cache.example/pages": the value
	// under key is at URL/key. http and https are allowed; user, query and fragment are not.
	URL string
	// Authorization is the value of that field in every request, as in "Bearer …". No error shows
	// it. It goes to the host of URL alone; over http, in the clear. In a URL, token=… stands for
	// Bearer, and user:password@ for Basic. Default: none is sent.
	Authorization string

	// TTLHeader (ttl_header) is the field in which a value's lifetime is sent, in seconds. OpenStack
	// Swift reads X-Delete-After. Default: Freshet-TTL, or none where TTLQuery is set.
	TTLHeader string
	// TTLQuery (ttl_query) is the name in the query under which it is sent: ttl for ?ttl=60. Default:
	// it is not in the query.
	TTLQuery string

	// Allow (allow) has addresses to use although they are loopback, private, link-local, multicast
	// or reserved; in a URL with commas between them, as in allow=10.0.0.0/8,127.0.0.1. Default:
	// public addresses alone.
	Allow []netip.Prefix
	// CAFile (ca_file) is a file of PEM certificates to trust. Default: the system's. Needs https.
	CAFile string

	// MaxItemSize (max_item_size) is the longest value to store or to read, in bytes. 1 KiB to
	// 1 GiB. Default 64 MiB.
	MaxItemSize int
	// PoolSize (pool_size) is how many connections are open at most over HTTP/1.1, in use or idle;
	// calls wait for one within their Timeout. Over HTTP/2, calls share connections. 1 to 10,000.
	// Default 64.
	PoolSize int
	// DialTimeout (dial_timeout) bounds the making of a connection, name resolution included, and
	// the handshake of TLS once more. 1 millisecond to 1 hour. Default 2 seconds.
	DialTimeout time.Duration
	// Timeout (timeout) bounds each request with its answer and its redirects when the call's
	// context allows for longer. Delete and Exists make up to two, Health three. 1 millisecond to
	// 1 hour. Default 5 seconds.
	Timeout time.Duration
}

const (
	defaultTTLHeader                 = "Freshet-TTL"
	defaultItemSize                  = 64 << 20
	minItemSize, maxItemSize         = 1 << 10, 1 << 30
	defaultPoolSize, maxPoolSize     = 64, 10_000
	defaultDialTimeout               = 2 * time.Second
	defaultTimeout                   = 5 * time.Second
	minTimeout, maxTimeout           = time.Millisecond, time.Hour
	maxFieldName, maxFieldValue      = 100, 8 << 10
	maxURL                       int = 4 << 10
)

// check returns c with its defaults filled in and its URL, or an error that says what is wrong with
// it.
func (c Config) check() (Config, *url.URL, error) {
	if c.TTLHeader == "" && c.TTLQuery == "" {
		c.TTLHeader = defaultTTLHeader
	}
	c.MaxItemSize = cmp.Or(c.MaxItemSize, defaultItemSize)
	c.PoolSize = cmp.Or(c.PoolSize, defaultPoolSize)
	c.DialTimeout = cmp.Or(c.DialTimeout, defaultDialTimeout)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.Allow = slices.Clone(c.Allow)
	base, err := baseOf(c.URL)
	err = cmp.Or(err,
		c.checkFields(),
		c.checkAllow(),
		option.Within("max_item_size", c.MaxItemSize, minItemSize, maxItemSize),
		option.Within("pool_size", c.PoolSize, 1, maxPoolSize),
		option.Within("dial_timeout", c.DialTimeout, minTimeout, maxTimeout),
		option.Within("timeout", c.Timeout, minTimeout, maxTimeout),
	)
	if err == nil && c.CAFile != "" && base.Scheme != "https" {
		err = errors.New("ca_file needs https")
	}
	if err != nil {
		return c, nil, fmt.Errorf("%s: %w", driver, err)
	}
	return c, base, nil
}

// baseOf returns the URL below which values are. Its errors show neither user nor query.
func baseOf(raw string) (*url.URL, error) {
	const allowed = "http://host/path and https://host:port/path are allowed"
	if raw == "" {
		return nil, errors.New("the URL of the server is missing; " + allowed)
	}
	u, err := url.Parse(raw)
	switch {
	case len(raw) > maxURL || err != nil:
		return nil, errors.New("the URL of the server is malformed; " + allowed)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the URL of the server has the scheme %.30q; %s", u.Scheme, allowed)
	case u.Hostname() == "":
		return nil, errors.New("the URL of the server has no host; " + allowed)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return nil, errors.New("the URL of the server has a user, a query or a fragment; " + allowed)
	case slices.ContainsFunc(strings.Split(u.Path, "/"), dots):
		return nil, errors.New("the path of the server's URL has the segment . or ..; write it " +
			"without")
	}
	base := &url.URL{Scheme: u.Scheme, Host: u.Host,
		Path: strings.TrimRight(u.Path, "/"), RawPath: strings.TrimRight(u.EscapedPath(), "/")}
	if p, err := url.PathUnescape(base.RawPath); err != nil || p != base.Path {
		return nil, errors.New("the path of the server's URL ends in an encoded slash; write it " +
			"without")
	}
	return base, nil
}

// dots reports whether a segment of a path stands for another folder (RFC 3986 section 5.2.4).
func dots(segment string) bool { return segment == "." || segment == ".." }

func (c Config) checkFields() error {
	switch {
	case c.TTLHeader != "" && (!plain(c.TTLHeader) || reserved(c.TTLHeader)):
		return fmt.Errorf("ttl_header=%.40q: the name of a field is allowed, of letters, digits and "+
			"the characters - _ . and not one that HTTP itself or this client uses", c.TTLHeader)
	case c.TTLQuery != "" && !plain(c.TTLQuery):
		return fmt.Errorf("ttl_query=%.40q: letters, digits and the characters - _ . are allowed",
			c.TTLQuery)
	case len(c.Authorization) > maxFieldValue || strings.TrimSpace(c.Authorization) != c.Authorization ||
		strings.ContainsFunc(c.Authorization, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Errorf("the authorization has %d bytes, or bytes that no field's value has; up to "+
			"%d printable bytes of ASCII are allowed", len(c.Authorization), maxFieldValue)
	}
	return nil
}

// plain reports whether a name needs no encoding, neither in a header nor in a query.
func plain(name string) bool {
	return len(name) <= maxFieldName && !strings.ContainsFunc(name, func(r rune) bool {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z'
		return !letter && !('0' <= r && r <= '9') && !strings.ContainsRune("-_.", r)
	})
}

// reserved reports whether a request has another use for a field.
func reserved(name string) bool {
	return slices.Contains([]string{
		"accept-encoding", "authorization", "cache-control", "connection", "content-length",
		"content-type", "cookie", "expect", "host", "idempotency-key", "keep-alive",
		"proxy-authorization", "proxy-connection", "range", "te", "trailer", "transfer-encoding",
		"upgrade", "user-agent",
	}, strings.ToLower(name))
}

func (c Config) checkAllow() error {
	for _, p := range c.Allow {
		if !p.IsValid() {
			return errors.New("allow has a prefix that is not valid; " + allowedPrefixes)
		}
	}
	return nil
}

// trust returns the certificates of CAFile, or nil for the system's.
func (c Config) trust() (*tls.Config, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%s: ca_file: %w", driver, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: ca_file=%.100q has no certificate in PEM", driver, c.CAFile)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
