package open

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
)

// parsed is a URL, taken apart.
type parsed struct {
	driver  drivers.Driver
	rest    string // what is the driver's: the URL without the options of this package
	shown   string // with passwords masked
	query   url.Values
	options Options
	near    int64 // Options.Near as the program gave it

	key, old source // of the keys that encrypt
}

// parse takes a URL apart, and takes the options of this package out of it.
func parse(rawURL string, o Options) (*parsed, error) {
	scheme, _, found := strings.Cut(rawURL, ":")
	if !found {
		return nil, fmt.Errorf("open: %.60q is no URL: allowed are URLs that begin with one of %s",
			mask.URL(rawURL), allowedSchemes())
	}
	d, err := driverOf(strings.ToLower(scheme))
	if err != nil {
		return nil, err
	}
	p := &parsed{driver: d, shown: mask.URL(rawURL), options: o, near: o.Near}
	fail := func(err error) (*parsed, error) {
		return nil, fmt.Errorf("open: %s: %w", p.shown, err)
	}
	// Not url.Parse: several hosts with a port each, as some drivers have them, are no URL to it.
	before, query, _ := strings.Cut(rawURL, "?")
	if !mask.Plain(rawURL) {
		return fail(errors.New("an @ after the first / or ?: in a user and a password write / as " +
			"%2F, ? as %3F, # as %23 and @ as %40"))
	}
	if mask.WrongPort(rawURL) != "" {
		return fail(errors.New("what stands behind the last colon is no port: with a user and a " +
			"password the host comes after them, user:password@host:port"))
	}
	if p.query, err = url.ParseQuery(query); err != nil {
		return fail(errors.New("the part after the question mark cannot be read: an option is " +
			"name=value, with & between two of them"))
	}
	if err := p.takeOptions(); err != nil {
		return fail(err)
	}
	if err := checkPrefix(p.options.Prefix); err != nil {
		return fail(fmt.Errorf("option prefix: %w", err))
	}
	p.rest = before
	if left := p.left(query); left != "" {
		p.rest += "?" + left
	}
	return p, nil
}

// left is what is left of a query for the driver, as it was written: whether a plus sign is a
// space, drivers see differently.
func (p *parsed) left(query string) string {
	pairs := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name) // parse has read it
		return !p.query.Has(name)
	})
	return strings.Join(pairs, "&")
}

// checkPrefix wants a separator at the end, so that to flush "blog:" does not take "blog2:" along.
func checkPrefix(prefix string) error {
	if err := (store.Options{Prefix: prefix}).Validate(); err != nil {
		return err
	}
	if !strings.ContainsAny(prefix[len(prefix)-1:], ":._-") {
		return fmt.Errorf("%q does not end in one of : . _ - and so could not be told from "+
			"longer ones: write %q", prefix, prefix+":")
	}
	return nil
}

// general are the options of this package.
var general = []string{"compress", "encryption", "encryption_key", "encryption_old_keys", "guard_failures",
	"guard_retry", "guard_set_timeout", "guard_timeout", "guard_waiting", "max_value", "near", "prefix", "start"}

// takeOptions reads the options of this package, and leaves the driver's in p.query.
func (p *parsed) takeOptions() error {
	o := &p.options
	fileLimit, hasLimit := p.query["max_value"]
	if hasLimit && p.driver.Kind == "file" {
		defer func() { p.query["max_value"] = fileLimit }() // an option of the driver's, too
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Near == 0 {
		o.Near = defaultNear
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return errors.Join(
		take(p, "prefix", &o.Prefix, func(v string) (string, error) {
			if v == "" {
				return "", errors.New("allowed is anything but nothing: without a prefix, a " +
					"flush could not tell what is ours")
			}
			return v, nil
		}),
		take(p, "near", &o.Near, settings.Bytes),
		take(p, "compress", &o.Compress, upTo(math.MaxInt32)),
		take(p, "max_value", &o.MaxValue, orNone(settings.Bytes)),
		take(p, "encryption", &o.RequireEncryption, func(v string) (bool, error) {
			if v != "required" && v != "optional" {
				return false, errors.New("allowed are optional (without a key, nothing is encrypted) and " +
					"required (without a key, the store does not open)")
			}
			return v == "required", nil
		}),
		take(p, "encryption_key", &p.key, readSource),
		take(p, "encryption_old_keys", &p.old, readSource),
		take(p, "start", &o.StartAnyway, func(v string) (bool, error) {
			if v != "anyway" && v != "asked" {
				return false, errors.New("allowed are asked (the server must answer at the " +
					"start) and anyway")
			}
			return v == "anyway", nil
		}),
		take(p, "guard_timeout", &o.Guard.Timeout, positive),
		take(p, "guard_set_timeout", &o.Guard.SetTimeout, positive),
		take(p, "guard_failures", &o.Guard.Failures, orNone(upTo(1000))),
		take(p, "guard_retry", &o.Guard.Retry, positive),
		take(p, "guard_waiting", &o.Guard.MaxWaiting, orNone(upTo(1<<20))),
	)
}

// take reads one option, if it is there.
func take[T any](p *parsed, name string, to *T, read func(string) (T, error)) error {
	values, there := p.query[name]
	delete(p.query, name)
	if !there {
		return nil
	}
	if len(values) > 1 {
		return fmt.Errorf("option %s is given %d times: once is enough", name, len(values))
	}
	v, err := read(values[0])
	if err != nil {
		shown := fmt.Sprintf("%.60q", values[0])
		if mask.Secret(name) {
			shown = "***"
		}
		return fmt.Errorf("option %s=%s: %w", name, shown, err)
	}
	*to = v
	return nil
}

// orNone reads a number of which 0 is none, as less than 0 is in Options.
func orNone[T int | int64](read func(string) (T, error)) func(string) (T, error) {
	return func(v string) (T, error) {
		n, err := read(v)
		if err == nil && n == 0 {
			n = -1
		}
		return n, err
	}
}

func upTo(most int64) func(string) (int, error) {
	return func(v string) (int, error) {
		n, err := settings.Bytes(v)
		if err != nil || n > most {
			return 0, fmt.Errorf("allowed is a whole number from 0 to %d", most)
		}
		return int(n), nil
	}
}

func positive(v string) (time.Duration, error) {
	d, err := settings.Duration(v)
	if err != nil || d == 0 {
		return 0, errors.New("allowed is a length of time greater than 0, such as 250ms or 2s")
	}
	return d, nil
}

// leastMemory is the least bound of memory://: a Kinto's default of 512 KiB can be read, and holds
// small pages.
const leastMemory = 64 << 10

// memoryBytes reads what memory:// may say.
func memoryBytes(p *parsed) (int64, error) {
	bytes := p.near
	err := take(p, "max_bytes", &bytes, func(v string) (int64, error) {
		n, err := settings.Bytes(v)
		if err != nil || n < leastMemory {
			return 0, errors.New("allowed is a number of bytes from 64KiB, such as 256MiB")
		}
		return n, nil
	})
	if err == nil && len(p.query) > 0 {
		name := slices.Sorted(keys(p.query))[0]
		err = fmt.Errorf("memory has no option %s: allowed is max_bytes%s", strconv.Quote(name),
			moreOptions(&unknownOption{name, []string{"max_bytes"}}))
	}
	if before, _, _ := strings.Cut(p.rest, "?"); err == nil && strings.TrimRight(before, "/") != memory+":" {
		err = errors.New("memory has no host and no path: write memory://")
	}
	if err != nil {
		return 0, fmt.Errorf("open: %s: %w", p.shown, err)
	}
	return bytes, nil
}

// unknownOption is one that memory:// does not have.
type unknownOption struct {
	name  string
	known []string
}

func (e *unknownOption) Error() string                     { return e.name }
func (e *unknownOption) UnknownOption() (string, []string) { return e.name, e.known }

func keys(v url.Values) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range v {
			if !yield(k) {
				return
			}
		}
	}
}

// corruption logs what a backend returned that was no entry: once a minute at most, with a count.
type corruption struct {
	log   *slog.Logger
	url   string
	count atomic.Int64
	next  atomic.Int64 // when the log hears of it again, in Unix seconds
}

func (c *corruption) heard(_ string, err error) {
	c.say("freshet: the backend returned what is not an entry of ours: it counts as a miss", err)
}

func (c *corruption) say(what string, err error) {
	n := c.count.Add(1)
	now, next := time.Now().Unix(), c.next.Load()
	if now < next || !c.next.CompareAndSwap(next, now+60) {
		return
	}
	c.log.Warn(what, "url", c.url, "error", err, "so far", n)
}
