package dynamostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/logging"

	"github.com/freshet-go/freshet/store/internal/option"
)

// Oversize says what Set does with a value that does not fit one item, of 400 KB.
type Oversize string

const (
	// OversizeSplit spreads the value over up to 256 items. All are needed to read it: where one is
	// missing, or another's, the value is not there. Items of a value that was replaced stay until
	// the end of its lifetime: deleting them would cost what writing them did, and DynamoDB's time
	// to live does it for nothing.
	OversizeSplit Oversize = "split"
	// OversizeRefuse makes Set fail with a permanent error and remove what was there.
	OversizeRefuse Oversize = "refuse"
)

// Config says which table is used, and how. The zero value is usable where the AWS SDK finds a
// region. ParseURL reads a Config from a URL, whose options are the names in parentheses.
type Config struct {
	// Region is where the table is, as in "eu-west-1". Default: what the AWS SDK finds: AWS_REGION,
	// or that of the profile.
	Region string
	// Table is the table's name, 3 to 255 letters, digits and the characters _ . -. Default
	// "freshet".
	Table string
	// Endpoint (endpoint) is the server's URL, http or https, without a path. Default: Amazon's for
	// the region, or what AWS_ENDPOINT_URL_DYNAMODB says.
	Endpoint string
	// Profile (profile) is the name of a profile in the files of the AWS SDK. Default: AWS_PROFILE,
	// or "default".
	Profile string
	// Credentials sign the requests. They are not in a URL. Default: what the AWS SDK finds, in its
	// order: the environment, the profile, a web identity, the container's role, the machine's.
	Credentials aws.CredentialsProvider

	// EventualReads (consistent=false) reads values as they were up to a second ago, for half of
	// the price: a value that was just stored may be missed, and one that was just replaced or
	// deleted be read. What was invalidated is not served even so: journals are read consistently.
	// Default: each read sees all writes before it.
	EventualReads bool
	// Oversize (oversize) says what Set does with values that do not fit one item. Default:
	// OversizeSplit.
	Oversize Oversize
	// Sweep (sweep=true) has SweepValues remove what invalidations cover before its time is over.
	// It reads the whole table each time, which costs more than the room that it makes, unless
	// lifetimes are of months. Default: values stay until they end.
	Sweep bool

	// PoolSize (pool_size) is how many connections are open at most, in use or idle; calls wait for
	// one within their Timeout. 1 to 10,000. Default 64.
	PoolSize int
	// DialTimeout (dial_timeout) bounds the making of a connection, name resolution included, and
	// the handshake of TLS once more. 1 millisecond to 1 hour. Default 2 seconds.
	DialTimeout time.Duration
	// Timeout (timeout) bounds each exchange with the server when the call's context allows for
	// longer. 1 millisecond to 1 hour. Default 5 seconds.
	Timeout time.Duration
}

const (
	defaultTable                 = "freshet"
	defaultPoolSize, maxPoolSize = 64, 10_000
	defaultDialTimeout           = 2 * time.Second
	defaultTimeout               = 5 * time.Second
	minTimeout, maxTimeout       = time.Millisecond, time.Hour
)

var (
	tableName  = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)
	regionName = regexp.MustCompile(`^[a-z0-9-]{0,64}$`)
)

// check returns c with its defaults filled in, or an error that says what is wrong with it.
func (c Config) check() (Config, error) {
	c.Table = cmp.Or(c.Table, defaultTable)
	c.Oversize = cmp.Or(c.Oversize, OversizeSplit)
	c.PoolSize = cmp.Or(c.PoolSize, defaultPoolSize)
	c.DialTimeout = cmp.Or(c.DialTimeout, defaultDialTimeout)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	err := cmp.Or(
		c.checkNames(),
		c.checkEndpoint(),
		c.Oversize.check(),
		option.Within("pool_size", c.PoolSize, 1, maxPoolSize),
		option.Within("dial_timeout", c.DialTimeout, minTimeout, maxTimeout),
		option.Within("timeout", c.Timeout, minTimeout, maxTimeout),
	)
	if err != nil {
		return c, fmt.Errorf("%s: %w", driver, err)
	}
	return c, nil
}

func (c Config) checkNames() error {
	switch {
	case !regionName.MatchString(c.Region):
		return fmt.Errorf("region %.80q: a name such as eu-west-1 is allowed", c.Region)
	case !tableName.MatchString(c.Table):
		return fmt.Errorf("table %.80q: 3 to 255 letters, digits and the characters _ . - are "+
			"allowed", c.Table)
	}
	return nil
}

func (c Config) checkEndpoint() error {
	if c.Endpoint == "" {
		return nil
	}
	const allowed = "http://host:port and https://host:port are allowed"
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("endpoint: not the URL of a server; " + allowed)
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery ||
		strings.Contains(c.Endpoint, "#"):
		return errors.New("endpoint: a URL with a user, a path, a query or a fragment; " + allowed)
	}
	return nil
}

func (o Oversize) check() error {
	if o != OversizeRefuse && o != OversizeSplit {
		return fmt.Errorf("oversize=%.40q: split and refuse are allowed", string(o))
	}
	return nil
}

// client returns the SDK's client, and c with what the SDK has found.
func (c Config) client(w *wire) (*dynamodb.Client, Config, error) {
	var options []func(*awsconfig.LoadOptions) error
	if c.Region != "" {
		options = append(options, awsconfig.WithRegion(c.Region))
	}
	if c.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(c.Profile))
	}
	if c.Credentials != nil {
		options = append(options, awsconfig.WithCredentialsProvider(c.Credentials))
	}
	found, err := awsconfig.LoadDefaultConfig(context.Background(), options...)
	if err != nil {
		return nil, c, fmt.Errorf("%s: the configuration of the AWS SDK: %w", driver, err)
	}
	if c.Region = found.Region; c.Region == "" {
		return nil, c, fmt.Errorf("%s: no region: write it into the URL, dynamodb://REGION/TABLE, "+
			"or set AWS_REGION", driver)
	}
	return dynamodb.NewFromConfig(found, func(o *dynamodb.Options) {
		o.HTTPClient = w
		o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0
		o.DisableValidateResponseChecksum = true // wire does
		o.Logger = logging.Nop{}
		o.Credentials = aws.NewCredentialsCache(&provider{o.Credentials})
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(strings.TrimRight(c.Endpoint, "/"))
		}
	}), c, nil
}

// provider marks the errors of credentials.
type provider struct{ aws.CredentialsProvider }

func (p *provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if p.CredentialsProvider == nil {
		return aws.Credentials{}, &noCredentials{errors.New("none were found")}
	}
	found, err := p.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = &noCredentials{err}
	}
	return found, err
}

type noCredentials struct{ cause error }

func (n *noCredentials) Error() string { return "no credentials: " + n.cause.Error() }
func (n *noCredentials) Unwrap() error { return n.cause }
