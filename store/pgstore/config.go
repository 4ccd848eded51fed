package pgstore

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/store/internal/option"
)

// What Config's fields are when they are 0, and the most that they may be.
const (
	defaultPoolSize    = 10
	defaultMaxOverflow = 10
	defaultPoolTimeout = 30 * time.Second
	defaultDialTimeout = 5 * time.Second
	defaultTimeout     = 5 * time.Second
	defaultTable       = "freshet_cache"
	defaultSweep       = time.Minute

	mostConnections = 10_000
	mostWait        = time.Hour
	leastSweep      = 100 * time.Millisecond
	mostSweep       = 24 * time.Hour
)

// idle is how long a connection that nobody uses stays open. The pool gives out the one that was
// used last, so that connections beyond what is needed at the time, those of MaxOverflow above all,
// fall idle and go.
const idle = time.Minute

// Config says which server to use and how. The zero value is the server that libpq's environment
// names (PGHOST, PGUSER and so on), or the one on this machine. ParseURL reads a Config from a URL,
// whose options are the names in parentheses. Of a number, 0 is the default and less than 0 is
// none.
type Config struct {
	// Conn says where the server is, who asks and how: a URL or "keyword=value …" as pgx and libpq
	// read it, with several hosts, sslmode, service and the rest. What it does not say comes from
	// libpq's environment, ~/.pg_service.conf and ~/.pgpass; without any password the server may
	// know the user by ident or peer.
	Conn string

	// PoolSize (pool_size) is how many connections are in use under usual load. 1 to 10,000.
	// Default 10.
	PoolSize int
	// MaxOverflow (max_overflow, or maxoverflow as it was spelt once) is how many more are opened
	// under load. At most 10,000. Default 10; negative, or 0 in the URL: none. The pool closes a
	// connection that was not used for a minute.
	MaxOverflow int
	// MaxBacklog (max_backlog) is how many calls may wait for a connection when all are in use. One
	// more fails at once. Default: any number, -1 in the URL; negative, or 0 in the URL: no call
	// waits.
	MaxBacklog int
	// PoolTimeout (pool_timeout) is how long a call waits for a connection. More than 0, at most an
	// hour. Default 30 seconds.
	PoolTimeout time.Duration
	// PoolRecycle (pool_recycle) is the age at which the pool replaces a connection. At least a
	// second. Default: never, -1 in the URL.
	PoolRecycle time.Duration
	// DialTimeout (dial_timeout) is how long connecting to one host may take, encryption and
	// authentication included. At most an hour. Default what connect_timeout or PGCONNECT_TIMEOUT
	// says, or 5 seconds.
	DialTimeout time.Duration
	// Timeout (timeout) is how long a call may take once there is room in the pool, when its
	// context allows for longer. At most an hour. Default 5 seconds.
	Timeout time.Duration

	// Table (table) holds the values; the journal's tables are called after it, with _journal,
	// _journal_head and _journal_members. "name" or "schema.name" of lower-case letters, digits and _, the name up to 40
	// bytes. Default "freshet_cache".
	Table string
	// Unlogged (unlogged) makes Migrate create the table of values UNLOGGED: cheaper to write;
	// empty after a crash of the server and on a standby that takes over, which then all ask the
	// handlers at once. A table that is there already stays as it is. Default false.
	Unlogged bool
	// Sweep (sweep) is how often expired values are removed, by one of the processes that share the
	// table. At least 100 ms, at most a day; less than 0 (in the URL: 0): this process never does.
	// Default 1 minute.
	Sweep time.Duration
	// NoStatementCache (statement_cache=false) keeps no prepared statements on connections. It is
	// for a pooler that gives each transaction another connection, such as PgBouncer with
	// pool_mode=transaction: the server then parses statements each time, and the Backend polls
	// journals, because notifications do not pass. Default false.
	NoStatementCache bool
}

var tableName = regexp.MustCompile(`^(?:([a-z_][a-z0-9_]{0,62})\.)?([a-z_][a-z0-9_]{0,39})$`)

// check returns c with its defaults filled in, or an error that says what is wrong with it.
func (c Config) check() (Config, error) {
	c.PoolSize = cmp.Or(c.PoolSize, defaultPoolSize)
	c.PoolTimeout = cmp.Or(c.PoolTimeout, defaultPoolTimeout)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.Table = cmp.Or(c.Table, defaultTable)
	c.Sweep = cmp.Or(c.Sweep, defaultSweep)
	c.MaxOverflow = cmp.Or(c.MaxOverflow, defaultMaxOverflow)
	return c, cmp.Or(
		option.Within("pool_size", c.PoolSize, 1, mostConnections),
		option.Within("max_overflow", c.overflow(), 0, mostConnections),
		option.Within("max_backlog", c.backlog(), -1, 1<<30),
		option.Within("pool_timeout", c.PoolTimeout, 1, mostWait),
		option.Within("dial_timeout", cmp.Or(c.DialTimeout, 1), 1, mostWait),
		option.Within("timeout", c.Timeout, 1, mostWait),
		c.checkRecycle(), c.checkSweep(), c.checkTable(),
	)
}

// overflow returns how many connections more than PoolSize there may be. c has been checked.
func (c Config) overflow() int { return max(c.MaxOverflow, 0) }

// backlog returns how many calls may wait for a connection, or -1 for any number.
func (c Config) backlog() int {
	switch {
	case c.MaxBacklog < 0:
		return 0
	case c.MaxBacklog == 0:
		return -1
	}
	return c.MaxBacklog
}

func (c Config) checkRecycle() error {
	if 0 < c.PoolRecycle && c.PoolRecycle < time.Second {
		return fmt.Errorf("pool_recycle=%v: 1s or more is allowed", c.PoolRecycle)
	}
	return nil
}

func (c Config) checkSweep() error {
	if c.Sweep < 0 {
		return nil
	}
	return option.Within("sweep", c.Sweep, leastSweep, mostSweep)
}

func (c Config) checkTable() error {
	if !tableName.MatchString(c.Table) {
		return fmt.Errorf("table=%.80q: a name, or schema.name, of lower-case letters, digits "+
			"and _ is allowed, not beginning with a digit, the name up to 40 bytes", c.Table)
	}
	return nil
}

// poolConfig is what pgx needs to know. c has been checked.
func (c Config) poolConfig() (*pgxpool.Config, error) {
	p, err := pgxpool.ParseConfig(c.Conn)
	if err != nil {
		return nil, errors.New(connFault(c.Conn, err))
	}
	p.MaxConns = int32(c.PoolSize + c.overflow())
	p.MinConns, p.MinIdleConns = 0, 0 // none before it is needed
	p.MaxConnLifetime = max(c.PoolRecycle, 0)
	p.MaxConnLifetimeJitter = c.PoolRecycle / 10
	p.MaxConnIdleTime = idle
	p.HealthCheckPeriod = idle / 2
	p.PingTimeout = c.Timeout
	conn := p.ConnConfig
	conn.ConnectTimeout = cmp.Or(c.DialTimeout, conn.ConnectTimeout, defaultDialTimeout)
	conn.DialFunc = metered(conn.DialFunc)
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = "freshet"
	}
	if c.NoStatementCache {
		conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return p, nil
}

// where names the server for people: user, hosts and database, never the password.
func where(c *pgx.ConnConfig) string {
	hosts := []string{fmt.Sprintf("%s:%d", c.Host, c.Port)}
	for _, f := range c.Fallbacks {
		if h := fmt.Sprintf("%s:%d", f.Host, f.Port); h != hosts[len(hosts)-1] {
			hosts = append(hosts, h)
		}
	}
	return fmt.Sprintf("postgres://%s@%s/%s", c.User, strings.Join(hosts, ","), c.Database)
}
