package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
)

func init() {
	drivers.Register(drivers.Driver{
		Kind: "redis", Schemes: []string{"redis", "rediss", "redis+sentinel", "redis+cluster"}, Open: openURL,
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
// Options are pool_size, min_idle, pool_timeout, dial_timeout, timeout, max_retries; with TLS ca_file and
// server_name; with Sentinels and Clusters tls (true or false); with Sentinels master, sentinel_username and
// sentinel_password. Durations are Go's, as in 500ms, or a number of seconds. What / ? # @ % stand for in a user
// or password must be percent-encoded.
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
	allowed := slices.Clone(commonOptions)
	switch scheme {
	case "redis":
	case "rediss":
		c.TLS = true
	case "redis+cluster":
		c.Cluster = true
		allowed = append(allowed, "tls")
	case "redis+sentinel":
		allowed = append(allowed, "tls", "master", "sentinel_username", "sentinel_password")
	default:
		return c, fmt.Errorf("unknown scheme %q; redis, rediss, redis+sentinel and redis+cluster are allowed", scheme)
	}
	if misplacedAt(rest) {
		return c, errors.New("an @ after the first / ? or #; percent-encode these four in user, password and options")
	}
	rest, fragment, found := strings.Cut(rest, "#")
	if found {
		return c, fmt.Errorf("a fragment of %d bytes, which has no meaning here", len(fragment))
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if err := cmp.Or(c.readAuthority(authority), c.readDatabase(path), c.readOptions(query, allowed)); err != nil {
		return c, err
	}
	if scheme == "redis+sentinel" && c.Master == "" {
		return c, errors.New("the option master is missing; it names the server as the Sentinels know it")
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
		return errors.New("user or password: a % that is not followed by two hexadecimal digits; write it %25")
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

var commonOptions = []string{
	"pool_size", "min_idle", "pool_timeout", "dial_timeout", "timeout", "max_retries", "ca_file", "server_name",
}

func (c *Config) readOptions(query string, allowed []string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the options are malformed; want name=value&name=value with percent-encoded values")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given := values[name]
		switch {
		case !slices.Contains(allowed, name):
			return fmt.Errorf("unknown option %s; %s are allowed", name, strings.Join(allowed, ", "))
		case len(given) > 1:
			return fmt.Errorf("option %s is given %d times", name, len(given))
		}
		if err := c.readOption(name, given[0]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) readOption(name, value string) (err error) {
	switch name {
	case "pool_size":
		c.PoolSize, err = number(value, 1)
	case "min_idle":
		c.MinIdle, err = number(value, 0)
	case "max_retries":
		c.MaxRetries, err = number(value, 0)
	case "pool_timeout":
		c.PoolTimeout, err = duration(value)
	case "dial_timeout":
		c.DialTimeout, err = duration(value)
	case "timeout":
		c.Timeout, err = duration(value)
	case "ca_file":
		c.CAFile = value
	case "server_name":
		c.ServerName = value
	case "tls":
		if c.TLS = value == "true"; !c.TLS && value != "false" {
			err = fmt.Errorf("%q; true and false are allowed", value)
		}
	case "master":
		c.Master = value
	case "sentinel_username":
		c.SentinelUsername = value
	case "sentinel_password":
		c.SentinelPassword = value
	}
	if err != nil {
		return fmt.Errorf("option %s is %w", name, err)
	}
	return nil
}

// number reads a whole number. What is less than least is refused here, where 0 cannot be mistaken for "not given".
func number(value string, least int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least {
		return 0, fmt.Errorf("%q; a whole number of at least %d is allowed", value, least)
	}
	return n, nil
}

// duration reads a Go duration or a number of seconds.
func duration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if seconds, err2 := strconv.ParseFloat(value, 64); err2 == nil && math.Abs(seconds) < 1e6 {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < time.Millisecond || d > maxWait {
		return 0, fmt.Errorf("%q; 1ms to 1h is allowed, as in 500ms, or a number of seconds", value)
	}
	return d, nil
}

// misplacedAt reports whether there is an @ after the first / ? or #: most likely one of these is in a password.
func misplacedAt(rest string) bool {
	i := strings.IndexAny(rest, "/?#")
	return i >= 0 && strings.Contains(rest[i:], "@")
}

// masked is a URL fit for an error's text: nothing before its @, where user and password are, and no
// option whose name tells of a password.
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
