package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/freshet-go/freshet/store/internal/option"
	"github.com/freshet-go/freshet/store/internal/trust"
)

// What Config's fields are when they are 0, and the most that they may be.
const (
	defaultPoolSize    = 50
	defaultPoolTimeout = time.Second
	defaultDialTimeout = 2 * time.Second
	defaultTimeout     = 2 * time.Second

	maxPoolSize = 10_000
	maxWait     = time.Hour
	maxRetries  = 10
	maxReplicas = 100

	redisPort    = "6379"
	sentinelPort = "26379"
)

// Config says which server to use and how. The zero value is the server at 127.0.0.1:6379. ParseURL
// makes one of a URL, whose options are the names in parentheses.
type Config struct {
	// Addrs are host:port of the server; with Cluster of some of its nodes, with Master of the
	// Sentinels. One without a port gets 6379, or 26379 with Master. Default 127.0.0.1 alone.
	Addrs []string
	// Cluster says that Addrs belong to a Redis Cluster. One address may be enough: the client asks
	// it for the others.
	Cluster bool
	// Master (master) is the name by which Sentinels know the server. Default none: no Sentinels.
	Master string

	// Username and Password are the server's. Without a Password none is sent, and Username must be
	// empty.
	Username, Password string
	// SentinelUsername and SentinelPassword (sentinel_username, sentinel_password) are the
	// Sentinels' own.
	SentinelUsername, SentinelPassword string
	// Database is the number of the database, 0 or more; a Cluster has only 0. Default 0.
	Database int

	// TLS (tls) encrypts all connections, to Sentinels too, and always verifies certificates.
	TLS bool
	// CAFile (ca_file) is a file of PEM certificates to trust. Default: the system's. Needs TLS.
	CAFile string
	// CertFile and KeyFile (cert_file, key_file) are files of PEM with the certificate that servers
	// are shown, and its private key. They are read for each connection, so that one that is
	// renewed on the disk is used for the next. Default: none is shown. Need TLS.
	CertFile, KeyFile string
	// ServerName (server_name) is the name that the certificate must be for. Default: the host that
	// is dialled. Needs TLS.
	ServerName string

	// PoolSize (pool_size) is how many connections are open at most, to each node in a Cluster,
	// besides one for each Watch. 1 to 10,000. Default 50.
	PoolSize int
	// MinIdle (min_idle) is the number of connections to keep open without work. 0 to PoolSize.
	// Default 0.
	MinIdle int
	// PoolTimeout (pool_timeout) is how long a call waits for a free connection. At most an hour.
	// Default 1 second.
	PoolTimeout time.Duration
	// DialTimeout (dial_timeout) is how long connecting may take. At most an hour. Default 2
	// seconds.
	DialTimeout time.Duration
	// Timeout (timeout) is how long the server may take to answer when the call's context allows
	// for longer. At most an hour. Default 2 seconds.
	Timeout time.Duration
	// MaxRetries (max_retries) is how often to repeat a call that failed. 0 to 10. Default 0: for a
	// cache a retry costs more than a miss. The Backend repeats a call whose connection the server
	// had closed once all the same, on a fresh one; and in a Cluster the client may send a call
	// that failed once more, or to the node that has taken over; both within the call's context.
	MaxRetries int
	// WaitReplicas (wait_replicas) is how many replicas must have an invalidation before the call
	// that appends it to the journal returns without an error. With fewer, the error says how many
	// have it; the invalidation is recorded all the same, and a cache appends it again until enough
	// do. 0 to 100. Default 0: none; a failover may then lose an invalidation when the processes that
	// know of it end as well.
	WaitReplicas int
	// WaitTimeout (wait_timeout) is how long to wait for them: at least a millisecond, less than
	// Timeout, and never more than half of the time that the call has left. Default half of Timeout.
	WaitTimeout time.Duration
}

// check returns c with its defaults filled in, or an error that says what is wrong with it.
func (c Config) check() (Config, error) {
	if len(c.Addrs) == 0 {
		c.Addrs = []string{"127.0.0.1"}
	}
	addrs := make([]string, len(c.Addrs))
	for i, addr := range c.Addrs {
		var err error
		if addrs[i], err = withPort(addr, c.port()); err != nil {
			return c, err
		}
	}
	c.Addrs = addrs
	err := cmp.Or(c.checkServers(), c.checkLimits())
	return c, err
}

func (c Config) port() string {
	if c.Master != "" {
		return sentinelPort
	}
	return redisPort
}

func (c Config) checkServers() error {
	switch {
	case c.Cluster && c.Master != "":
		return errors.New("master is for Sentinels; a Cluster has none")
	case !c.Cluster && c.Master == "" && len(c.Addrs) > 1:
		return fmt.Errorf("%d addresses for one server; several are allowed for a Cluster "+
			"(redis+cluster://) and for Sentinels (redis+sentinel://)", len(c.Addrs))
	case c.Database < 0:
		return fmt.Errorf("database %d; 0 or more is allowed", c.Database)
	case c.Cluster && c.Database != 0:
		return fmt.Errorf("database %d; a Cluster has only database 0", c.Database)
	case c.Username != "" && c.Password == "":
		return errors.New("a user without a password; a password alone is written :password@")
	case c.Master == "" && c.SentinelUsername+c.SentinelPassword != "":
		return errors.New("sentinel_username and sentinel_password are for Sentinels " +
			"(redis+sentinel://)")
	case c.SentinelUsername != "" && c.SentinelPassword == "":
		return errors.New("sentinel_username without sentinel_password")
	case !c.TLS && (c.files().Given() || c.ServerName != ""):
		return errors.New("ca_file, cert_file, key_file and server_name need TLS (rediss://, or " +
			"tls=true with Sentinels and Clusters)")
	}
	return c.files().Check()
}

func (c Config) files() trust.Files {
	return trust.Files{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile}
}

func (c *Config) checkLimits() error {
	setDefault(&c.PoolSize, defaultPoolSize)
	setDefault(&c.PoolTimeout, defaultPoolTimeout)
	setDefault(&c.DialTimeout, defaultDialTimeout)
	setDefault(&c.Timeout, defaultTimeout)
	if c.WaitReplicas > 0 {
		setDefault(&c.WaitTimeout, c.Timeout/2)
	}
	return cmp.Or(
		option.Within("pool_size", c.PoolSize, 1, maxPoolSize),
		option.Within("min_idle", c.MinIdle, 0, c.PoolSize),
		option.Within("max_retries", c.MaxRetries, 0, maxRetries),
		option.Within("pool_timeout", c.PoolTimeout, time.Millisecond, maxWait),
		option.Within("dial_timeout", c.DialTimeout, time.Millisecond, maxWait),
		option.Within("timeout", c.Timeout, time.Millisecond, maxWait),
		option.Within("wait_replicas", c.WaitReplicas, 0, maxReplicas),
		c.checkWait(),
	)
}

func (c *Config) checkWait() error {
	if least := time.Millisecond; c.WaitReplicas > 0 && (c.WaitTimeout < least ||
		c.WaitTimeout >= c.Timeout) {
		return fmt.Errorf("wait_timeout=%v: %v to less than timeout=%v is allowed", c.WaitTimeout,
			least, c.Timeout)
	}
	return nil
}

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// withPort checks an address, and gives it a port if it has none.
func withPort(addr, port string) (string, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
	if !strings.Contains(addr, ":") || net.ParseIP(bare) != nil {
		addr = net.JoinHostPort(bare, port)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: want host:port", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("address %q: the port must be 1 to 65535", addr)
	}
	if host == "" || strings.ContainsAny(host, " /@?#[]") {
		return "", fmt.Errorf("address %q: want host:port", addr)
	}
	return addr, nil
}

// options are go-redis's words for a checked Config.
func (c Config) options() (*redis.UniversalOptions, error) {
	o := &redis.UniversalOptions{
		Addrs:            c.Addrs,
		IsClusterMode:    c.Cluster,
		MasterName:       c.Master,
		DB:               c.Database,
		Username:         c.Username,
		Password:         c.Password,
		SentinelUsername: c.SentinelUsername,
		SentinelPassword: c.SentinelPassword,

		PoolSize:              c.PoolSize,
		PipelinePoolSize:      -1, // one pool, so that PoolSize is the bound
		MinIdleConns:          c.MinIdle,
		PoolTimeout:           c.PoolTimeout,
		DialTimeout:           c.DialTimeout,
		DialerRetries:         1,
		ReadTimeout:           c.Timeout,
		WriteTimeout:          c.Timeout,
		ContextTimeoutEnabled: true,
		MaxRetries:            c.MaxRetries,
		MaxRetryBackoff:       100 * time.Millisecond,

		// The older protocol has all that is used here, and old servers and proxies understand it.
		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if c.MaxRetries == 0 {
		o.MaxRetries = -1
	}
	if c.TLS {
		var err error
		if o.TLSConfig, err = c.files().Config(); err != nil {
			return nil, err
		}
		o.TLSConfig.ServerName = c.ServerName
	}
	o.Dialer = newDialer(c.DialTimeout, o.TLSConfig).dial
	return o, nil
}

// hangUpHint is what it may mean when a server hangs up before it has said anything. With TLS 1.3 a
// client has finished before the server has judged its certificate, and the server's reason is lost
// when the connection is reset.
func (c Config) hangUpHint() string {
	switch {
	case !c.TLS:
		return ""
	case c.CertFile == "":
		return "; a server that wants a certificate of its clients hangs up so: set cert_file and key_file"
	}
	return "; a server that does not accept the certificate of cert_file hangs up so"
}

// String returns c as a URL without passwords.
func (c Config) String() string {
	scheme := "redis"
	switch {
	case c.Master != "":
		scheme = "redis+sentinel"
	case c.Cluster:
		scheme = "redis+cluster"
	case c.TLS:
		scheme = "rediss"
	}
	user := c.Username
	if c.Password != "" {
		user += ":***"
	}
	if user != "" {
		user += "@"
	}
	s := fmt.Sprintf("%s://%s%s/%d", scheme, user, strings.Join(c.Addrs, ","), c.Database)
	if c.Master != "" {
		s += "?master=" + c.Master
	}
	return s
}
