package pgstore

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/internal/option"
)

func init() {
	drivers.Register(drivers.Driver{Kind: "postgresql", Schemes: []string{"postgres", "postgresql"},
		Open: openURL})
}

// openURL implements drivers.Driver.Open.
func openURL(rawURL string) (store.Backend, error) {
	c, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	return New(c)
}

// ParseURL reads a Config from a URL such as
//
//	postgres://user:password@host:5432/database?sslmode=verify-full&pool_size=20
//
// with the scheme postgres or postgresql. Whatever pgx understands may be in it: no or several
// hosts, sslmode, service, target_session_attrs and the rest. Other settings of the session go into
// options ("options=-c%20jit%3Doff"). An unknown option, one given twice and a value that is not
// allowed are errors. No error shows a password.
func ParseURL(rawURL string) (Config, error) {
	c, err := parseURL(rawURL)
	if err != nil {
		return Config{}, fmt.Errorf("pgstore: %s: %w", masked(rawURL), err)
	}
	return c, nil
}

func parseURL(rawURL string) (Config, error) {
	base, query, _ := strings.Cut(rawURL, "?")
	scheme, _, ok := strings.Cut(base, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return Config{}, fmt.Errorf("the URL begins with neither postgres:// nor postgresql://")
	}
	if !plain(rawURL) {
		return Config{}, fmt.Errorf("the URL cannot be read; in a user, a password and a " +
			"database's name the characters / ? # @ : and %% are written %%2F %%3F %%23 %%40 " +
			"%%3A and %%25")
	}
	c := Config{}
	given := map[string]string{}
	var rest []string
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, err := parsePair(pair)
		if err != nil {
			return Config{}, err
		}
		if _, twice := given[name]; twice {
			return Config{}, fmt.Errorf("option %s is given twice", name)
		}
		given[name] = value
		set, ours := settings[name]
		switch {
		case !ours && !passes(name):
			return Config{}, unknown(name)
		case !ours:
			rest = append(rest, pair)
		default:
			if err := set(&c, value); err != nil {
				return Config{}, fmt.Errorf("option %s=%.40q: %w", name, value, err)
			}
		}
	}
	if err := agree(given); err != nil {
		return Config{}, err
	}
	if c.Conn = base; len(rest) > 0 {
		c.Conn += "?" + strings.Join(rest, "&")
	}
	if _, err := c.check(); err != nil {
		return Config{}, err
	}
	if _, err := pgxpool.ParseConfig(c.Conn); err != nil {
		return Config{}, fmt.Errorf("%s", detail(err))
	}
	return c, nil
}

// parsePair takes a pair of the query apart, as libpq does: a plus sign is a plus sign.
func parsePair(pair string) (name, value string, err error) {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	if name, err = url.PathUnescape(rawName); err != nil {
		return "", "", fmt.Errorf("the name of an option is not encoded rightly")
	}
	if value, err = url.PathUnescape(rawValue); err != nil {
		return "", "", fmt.Errorf("the value of option %.40q is not encoded rightly", name)
	}
	return name, value, nil
}

// settings are our own options. Two of them are pgx's under another name or of another meaning for
// us.
var settings = map[string]func(c *Config, value string) error{
	"pool_size": func(c *Config, v string) error {
		return option.Into(&c.PoolSize, option.Number(1))(v)
	},
	"max_overflow": setOverflow,
	"maxoverflow":  setOverflow,
	"max_backlog":  setBacklog,
	"pool_timeout": func(c *Config, v string) error {
		return option.Into(&c.PoolTimeout, option.Duration)(v)
	},
	"pool_recycle": setRecycle,
	"dial_timeout": func(c *Config, v string) error {
		return option.Into(&c.DialTimeout, option.Duration)(v)
	},
	"timeout": func(c *Config, v string) error {
		return option.Into(&c.Timeout, option.Duration)(v)
	},
	"table": setTable,
	"unlogged": func(c *Config, v string) error {
		return option.Into(&c.Unlogged, option.Bool)(v)
	},
	"sweep":           setSweep,
	"statement_cache": setStatementCache,
}

func setRecycle(c *Config, v string) (err error) {
	if c.PoolRecycle = -1; v != "-1" {
		c.PoolRecycle, err = option.Duration(v)
	}
	return err
}

func setSweep(c *Config, v string) (err error) {
	if c.Sweep = -1; strings.Trim(v, "0") != "" {
		c.Sweep, err = option.Duration(v)
	}
	return err
}

func setTable(c *Config, v string) error {
	if v == "" {
		return fmt.Errorf("a name is needed")
	}
	c.Table = v
	return nil
}

func setStatementCache(c *Config, v string) error {
	on, err := option.Bool(v)
	c.NoStatementCache = !on
	return err
}

func setOverflow(c *Config, v string) (err error) {
	if c.MaxOverflow, err = option.Number(0)(v); c.MaxOverflow == 0 {
		c.MaxOverflow = -1
	}
	return err
}

// setBacklog reads -1 for any number and 0 for none, as Kinto has them: Config has 0 and less than
// 0.
func setBacklog(c *Config, v string) (err error) {
	if c.MaxBacklog, err = option.Number(-1)(v); c.MaxBacklog <= 0 {
		c.MaxBacklog = -1 - c.MaxBacklog
	}
	return err
}

// agree refuses two spellings of one setting that say different things.
func agree(given map[string]string) error {
	for _, names := range [][2]string{{"max_overflow", "maxoverflow"},
		{"dial_timeout", "connect_timeout"}} {
		one, ok1 := given[names[0]]
		other, ok2 := given[names[1]]
		if ok1 && ok2 && one != other {
			return fmt.Errorf("options %s=%.40q and %s=%.40q are the same setting; give one",
				names[0], one, names[1], other)
		}
	}
	return nil
}

// passed are the options that go to pgx: libpq's, some of pgx's own, and settings of a session that
// a cache has a use for. Others can be set by options=-c.
var passed = []string{
	"host", "port", "dbname", "database", "user", "password", "passfile", "connect_timeout",
	"application_name",
	"sslmode", "ssl", "sslkey", "sslcert", "sslcertmode", "sslrootcert", "sslnegotiation",
	"sslpassword", "sslsni",
	"krbspn", "krbsrvname", "target_session_attrs", "service", "servicefile",
	"min_protocol_version",
	"max_protocol_version", "channel_binding", "require_auth", "options",
	"search_path", "timezone", "TimeZone", "role", "statement_timeout", "lock_timeout",
	"synchronous_commit",
	"tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout",
	"statement_cache_capacity", "description_cache_capacity",
}

func passes(name string) bool {
	extension := strings.Contains(name, ".") // a setting of an extension's, or the app's own
	return extension || slices.Contains(passed, name)
}

var poolOptions = []string{"pool_size", "max_overflow", "max_backlog", "pool_recycle",
	"pool_timeout"}

func unknown(name string) error {
	switch {
	case name == "default_query_exec_mode":
		return fmt.Errorf("option %s is not allowed here; use statement_cache=false", name)
	case strings.HasPrefix(name, "pool_"):
		return &option.Unknown{Name: name, Known: poolOptions, Help: "for the pool there are " +
			"pool_size, max_overflow, max_backlog, pool_recycle and pool_timeout"}
	}
	return &option.Unknown{Name: name, Known: poolOptions, Help: "a setting of the server goes into " +
		"options=-c%20name%3Dvalue"}
}

// plain reports whether it is certain where in the URL the password ends, so that parts of it may
// be shown. It is not when a password has a character that it should have encoded.
func plain(rawURL string) bool {
	_, rest, _ := strings.Cut(rawURL, "://")
	base, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(base, "/")
	hosts := authority
	if user, after, ok := strings.Cut(authority, "@"); ok {
		if strings.Count(user, ":") > 1 {
			return false
		}
		hosts = after
	}
	if strings.ContainsAny(hosts+path, "@#") || strings.ContainsAny(query, "@#?") ||
		strings.ContainsFunc(rawURL, unicode.IsControl) {
		return false
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if i := strings.LastIndexByte(host, ']'); i >= 0 {
			host = host[i+1:]
		}
		if _, port, ok := strings.Cut(host, ":"); ok && strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	for _, part := range []string{authority, path, query} {
		if _, err := url.PathUnescape(part); err != nil {
			return false
		}
	}
	return true
}

// masked is the URL with its passwords left out, or only its beginning where it is not certain what
// they are.
func masked(rawURL string) string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return "the URL of a PostgreSQL server"
	}
	if !plain(rawURL) {
		return scheme + "://…"
	}
	base, query, _ := strings.Cut(rest, "?")
	authority, path, slash := strings.Cut(base, "/")
	if user, hosts, ok := strings.Cut(authority, "@"); ok {
		name, _, secret := strings.Cut(user, ":")
		if secret {
			name += ":***"
		}
		authority = name + "@" + hosts
	}
	shown := scheme + "://" + authority
	if slash {
		shown += "/" + path
	}
	mark := "?"
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		if name, _, err := parsePair(pair); err != nil || strings.Contains(strings.ToLower(name),
			"password") {
			pair, _, _ = strings.Cut(pair, "=")
			pair += "=***"
		}
		shown += mark + pair
		mark = "&"
	}
	return shown
}

// connFault says what is wrong with Config.Conn, without showing it.
func connFault(conn string, err error) string {
	if (strings.HasPrefix(conn, "postgres://") || strings.HasPrefix(conn, "postgresql://")) &&
		plain(conn) {
		return detail(err)
	}
	return "what it says of the connection cannot be read as a URL or as keyword=value"
}

// detail is what pgx says of a URL, without the URL.
func detail(err error) string {
	said := err.Error()
	if _, after, ok := strings.Cut(said, "`: "); ok {
		said = after
	}
	return said
}
