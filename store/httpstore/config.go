package httpstore

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/option"
	"github.com/freshet-go/freshet/store/internal/trust"
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
	// TokenFile (token_file) is a file with a token, which is sent as "Bearer …". It is read again
	// as requests come, once a second at most, and when the server refuses the token: a new one
	// needs no restart. While the file cannot be read, the former token is sent. It takes the place
	// of Authorization. Default: none.
	TokenFile string

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
	// CertFile and KeyFile (cert_file, key_file) are files of PEM with the certificate that the
	// server is shown, and its private key. They are read for each connection, so that one that is
	// renewed on the disk is used for the next. Default: none is shown. Need https.
	CertFile, KeyFile string

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
	defaultTTLHeader             = "Freshet-TTL"
	defaultItemSize              = 64 << 20
	minItemSize, maxItemSize     = 1 << 10, 1 << 30
	defaultPoolSize, maxPoolSize = 64, 10_000
	defaultDialTimeout           = 2 * time.Second
	defaultTimeout               = 5 * time.Second
	minTimeout, maxTimeout       = time.Millisecond, time.Hour
	maxFieldName                 = 100
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
	base, err := httpclient.Base(c.URL, "http", "https")
	_, wrong := httpclient.Fixed(c.Authorization)
	err = cmp.Or(err,
		c.checkFields(),
		wrong,
		httpclient.CheckAllow(c.Allow),
		option.Within("max_item_size", c.MaxItemSize, minItemSize, maxItemSize),
		option.Within("pool_size", c.PoolSize, 1, maxPoolSize),
		option.Within("dial_timeout", c.DialTimeout, minTimeout, maxTimeout),
		option.Within("timeout", c.Timeout, minTimeout, maxTimeout),
	)
	if err == nil && c.files().Given() && base.Scheme != "https" {
		err = errors.New("ca_file, cert_file and key_file need https")
	}
	err = cmp.Or(err, c.files().Check())
	if err != nil {
		return c, nil, fmt.Errorf("%s: %w", driver, err)
	}
	return c, base, nil
}

func (c Config) checkFields() error {
	switch {
	case c.TTLHeader != "" && (!plain(c.TTLHeader) || reserved(c.TTLHeader)):
		return fmt.Errorf("ttl_header=%.40q: the name of a field is allowed, of letters, digits and "+
			"the characters - _ . and not one that HTTP itself or this client uses", c.TTLHeader)
	case c.TTLQuery != "" && !plain(c.TTLQuery):
		return fmt.Errorf("ttl_query=%.40q: letters, digits and the characters - _ . are allowed",
			c.TTLQuery)
	case c.Authorization != "" && c.TokenFile != "":
		return errors.New("a token_file beside a token, a user or an Authorization; one of them is " +
			"allowed")
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

// client returns what asks the server.
func (c Config) client(base *url.URL) (*httpclient.Client, error) {
	certificates, err := c.files().Config()
	var credential *httpclient.Credential
	if err == nil && c.TokenFile != "" {
		credential, err = httpclient.FromFile("Bearer", c.TokenFile)
	} else if err == nil {
		credential, err = httpclient.Fixed(c.Authorization)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", driver, err)
	}
	return httpclient.New(httpclient.Config{
		Driver: driver, Agent: "freshet-httpstore", Host: base.Host, Credential: credential,
		Allow: c.Allow, TLS: certificates, Plain: "http+store:// and http:// are for that",
		MaxBody: c.wireSize(), PoolSize: c.PoolSize, Redirects: maxRedirects,
		DialTimeout: c.DialTimeout, Timeout: c.Timeout,
	}), nil
}

func (c Config) files() trust.Files {
	return trust.Files{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile}
}
