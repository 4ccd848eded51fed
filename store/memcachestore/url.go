package memcachestore

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
)

func init() {
	drivers.Register(drivers.Driver{Kind: "memcached", Schemes: []string{"memcached"}, Open: openURL})
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
//	memcached://a.example:11211,b.example:11211?timeout=250ms&oversize=split
//
// The options in its query are Config's other fields: pool_size, dial_timeout and timeout (as 500ms, or a number
// of seconds), max_item_size (a number of bytes) and oversize. Any other is an error.
func ParseURL(rawURL string) (Config, error) {
	c, err := parseURL(rawURL)
	if err == nil {
		_, err = c.check()
	}
	if err != nil {
		text, _ := strings.CutPrefix(err.Error(), string(driver)+": ")
		return Config{}, fmt.Errorf("%s: url %s: %s", driver, masked(rawURL), text)
	}
	return c, nil
}

// masked is the part of a URL that may be shown: what is before the query, without the credentials.
func masked(rawURL string) string {
	shown, _, more := strings.Cut(rawURL, "?")
	scheme, rest, _ := strings.Cut(shown, "://")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "***" + rest[i:]
	}
	if shown = fmt.Sprintf("%.100q", scheme+"://"+rest); more {
		shown += " with options"
	}
	return shown
}

func parseURL(rawURL string) (Config, error) {
	rest, ok := strings.CutPrefix(rawURL, "memcached://")
	if !ok {
		return Config{}, errors.New("it must begin with memcached://")
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(rest, "/")
	switch {
	case strings.Contains(rest, "@"):
		return Config{}, errors.New("user and password are not supported: Memcached asks for none, or this client cannot tell it")
	case path != "" || strings.Contains(query, "#") || strings.Contains(rest, "#"):
		return Config{}, errors.New("only servers and a query may follow memcached://; Memcached has no databases")
	}
	var c Config
	if hosts != "" {
		c.Servers = strings.Split(hosts, ",")
	}
	options, err := url.ParseQuery(query)
	if err != nil {
		return Config{}, errors.New("the query is malformed: name=value&name=value is wanted, with % before two hexadecimal digits only")
	}
	for option, values := range options {
		if len(values) > 1 {
			return Config{}, fmt.Errorf("option %.100q is given %d times", option, len(values))
		}
		if err := c.set(option, values[0]); err != nil {
			return Config{}, err
		}
	}
	return c, nil
}

// set sets one option of a URL. An explicit 0 is no default: it is refused.
func (c *Config) set(option, value string) error {
	var err error
	switch option {
	case "pool_size":
		if c.PoolSize, err = strconv.Atoi(value); err != nil || c.PoolSize == 0 {
			return wrong(option, value, poolAllowed)
		}
	case "dial_timeout":
		if c.DialTimeout, err = duration(value); err != nil || c.DialTimeout == 0 {
			return wrong(option, value, timeoutAllowed)
		}
	case "timeout":
		if c.Timeout, err = duration(value); err != nil || c.Timeout == 0 {
			return wrong(option, value, timeoutAllowed)
		}
	case "max_item_size":
		if c.MaxItemSize, err = strconv.Atoi(value); err != nil || c.MaxItemSize == 0 {
			return wrong(option, value, sizeAllowed)
		}
	case "oversize":
		if c.Oversize = Oversize(value); value == "" {
			return wrong(option, value, oversizeIsAllowed)
		}
	default:
		return fmt.Errorf("option %.100q is unknown; pool_size, dial_timeout, timeout, max_item_size and oversize are allowed", option)
	}
	return nil
}

// duration reads 500ms, or a number of seconds as 0.5.
func duration(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		if !(seconds >= 0 && seconds <= maxTimeout.Seconds()) {
			return 0, errors.New("out of bounds")
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	return time.ParseDuration(s)
}
