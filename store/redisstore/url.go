package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/internal/option"
)

func init() {
	drivers.Register(drivers.Driver{
		Kind: "redis", Schemes: []string{"redis", "rediss", "redis+sentinel", "redis+cluster"},
		Open: openURL,
	})
}

// openURL implements drivers.Driver.Open.
func openURL(rawURL string) (store.Backend, error) {
	c, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	return New(c)
}

// ParseURL reads a Config from one of these, with options in the query:
//
//	redis://[user:password@]host[:6379][/database]
//	rediss://…                                         the same over TLS
//	redis+sentinel://[user:password@]host[:26379],…[/database]?master=name
//	redis+cluster://[user:password@]host[:6379],…
//
// Options are pool_size, min_idle, pool_timeout, dial_timeout, timeout, max_retries, wait_replicas,
// wait_timeout; with TLS ca_file, cert_file, key_file and server_name; with Sentinels and Clusters
// tls (true or false); with Sentinels master, sentinel_username and sentinel_password. Durations
// are Go's, as in 500ms, or a number of seconds. What / ? # @ % stand for in a user or password
// must be percent-encoded.
//
// Options that are unknown, repeated, or out of bounds are errors. No error shows a password.
func ParseURL(rawURL string) (Config, error) {
	c, err := parseURL(rawURL)
	if err == nil {
		c, err = c.check()
	}
	if err != nil {
		return Config{}, fmt.Errorf("redisstore: %s: %w", masked(rawURL), err)
	}
	return c, nil
}

func parseURL(rawURL string) (Config, error) {
	var c Config
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return c, errors.New("not a URL; want redis://host:port/database")
	}
	switch scheme {
	case "redis":
	case "rediss":
		c.TLS = true
	case "redis+cluster":
		c.Cluster = true
	case "redis+sentinel":
	default:
		return c, fmt.Errorf("unknown scheme %q; redis, rediss, redis+sentinel and redis+cluster "+
			"are allowed", scheme)
	}
	if misplacedAt(rest) {
		return c, errors.New("an @ after the first / ? or #; percent-encode these four in user, " +
			"password and options")
	}
	rest, fragment, found := strings.Cut(rest, "#")
	if found {
		return c, fmt.Errorf("a fragment of %d bytes, which has no meaning here", len(fragment))
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if err := cmp.Or(c.readAuthority(authority), c.readDatabase(path),
		c.readers(scheme).Read(query)); err != nil {
		return c, err
	}
	if scheme == "redis+sentinel" && c.Master == "" {
		return c, errors.New("the option master is missing; it names the server as the Sentinels " +
			"know it")
	}
	return c, nil
}

func (c *Config) readAuthority(authority string) error {
	user, hosts, found := cutLast(authority, "@")
	if !found {
		user, hosts = "", authority
	}
	name, password, _ := strings.Cut(user, ":")
	var err1, err2 error
	c.Username, err1 = url.PathUnescape(name)
	c.Password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("user or password: a % that is not followed by two hexadecimal digits; " +
			"write it %25")
	}
	if hosts != "" {
		c.Addrs = strings.Split(hosts, ",")
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (c *Config) readDatabase(path string) error {
	if path == "" {
		return nil
	}
	n, err := strconv.Atoi(path)
	if err != nil {
		return fmt.Errorf("database %q; a number is allowed", path)
	}
	c.Database = n
	return nil
}

// readers returns the readers of the options of a URL with that scheme.
func (c *Config) readers(scheme string) option.Readers {
	r := option.Readers{
		"pool_size":    option.Into(&c.PoolSize, option.Number(1)),
		"min_idle":     option.Into(&c.MinIdle, option.Number(0)),
		"max_retries":  option.Into(&c.MaxRetries, option.Number(0)),
		"pool_timeout": option.Into(&c.PoolTimeout, option.Duration),
		"dial_timeout": option.Into(&c.DialTimeout, option.Duration),
		"timeout":      option.Into(&c.Timeout, option.Duration),

		"wait_replicas": option.Into(&c.WaitReplicas, option.Number(0)),
		"wait_timeout":  option.Into(&c.WaitTimeout, option.Duration),
		"ca_file":       option.Into(&c.CAFile, option.Text),
		"cert_file":     option.Into(&c.CertFile, option.Text),
		"key_file":      option.Into(&c.KeyFile, option.Text),
		"server_name":   option.Into(&c.ServerName, option.Text),
	}
	if scheme == "redis+cluster" || scheme == "redis+sentinel" {
		r["tls"] = option.Into(&c.TLS, option.Bool)
	}
	if scheme == "redis+sentinel" {
		r["master"] = option.Into(&c.Master, option.Text)
		r["sentinel_username"] = option.Into(&c.SentinelUsername, option.Text)
		r["sentinel_password"] = option.Into(&c.SentinelPassword, option.Text)
	}
	return r
}

// misplacedAt reports whether there is an @ after the first / ? or #: most likely one of these is
// in a password.
func misplacedAt(rest string) bool {
	i := strings.IndexAny(rest, "/?#")
	return i >= 0 && strings.Contains(rest[i:], "@")
}

// masked is a URL fit for an error's text: nothing before its @, where user and password are, and
// no option whose name speaks of a password.
func masked(rawURL string) string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return "the store's URL"
	}
	if misplacedAt(rest) {
		return scheme + "://***"
	}
	if _, after, found := cutLast(rest, "@"); found {
		rest = "***@" + after
	}
	rest, query, found := strings.Cut(rest, "?")
	if !found {
		return scheme + "://" + rest
	}
	options := strings.Split(query, "&")
	for i, option := range options {
		if name, _, _ := strings.Cut(option, "="); strings.Contains(strings.ToLower(name), "pass") {
			options[i] = name + "=***"
		}
	}
	return scheme + "://" + rest + "?" + strings.Join(options, "&")
}
