package memcachestore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/internal/option"
)

func init() {
	drivers.Register(drivers.Driver{Kind: "memcached", Schemes: []string{"memcached"},
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
//	memcached://a.example:11211,b.example:11211?timeout=250ms&oversize=split
//
// The options in its query are Config's other fields: pool_size, dial_timeout and timeout (as
// 500ms, or a number of seconds), max_item_size (a number of bytes) and oversize. Any other is an
// error.
func ParseURL(rawURL string) (Config, error) {
	c, err := parseURL(rawURL)
	if err == nil {
		_, err = c.check()
	}
	if err != nil {
		text, _ := strings.CutPrefix(err.Error(), string(driver)+": ")
		return Config{}, fmt.Errorf("%s: url %s: %s", driver, masked(rawURL), text)
	}
	return *c, nil
}

// masked is the part of a URL that may be shown: what is before the query, without the credentials.
func masked(rawURL string) string {
	shown, _, more := strings.Cut(rawURL, "?")
	scheme, rest, ok := strings.Cut(shown, "://")
	if !ok {
		return "***" // wherever a password may be in it
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "***" + rest[i:]
	}
	if shown = fmt.Sprintf("%.100q", scheme+"://"+rest); more {
		shown += " with options"
	}
	return shown
}

func parseURL(rawURL string) (*Config, error) {
	c := new(Config)
	rest, ok := strings.CutPrefix(rawURL, "memcached://")
	if !ok {
		return c, errors.New("it must begin with memcached://")
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(rest, "/")
	switch {
	case strings.Contains(rest, "@"):
		return c, errors.New("user and password are not supported: Memcached asks for none, or " +
			"this client cannot tell it")
	case path != "" || strings.Contains(query, "#") || strings.Contains(rest, "#"):
		return c, errors.New("only servers and a query may follow memcached://; Memcached has no " +
			"databases")
	}
	if hosts != "" {
		c.Servers = strings.Split(hosts, ",")
	}
	return c, option.Readers{
		"pool_size":     option.Into(&c.PoolSize, option.Number(1)),
		"dial_timeout":  option.Into(&c.DialTimeout, option.Duration),
		"timeout":       option.Into(&c.Timeout, option.Duration),
		"max_item_size": option.Into(&c.MaxItemSize, option.Number(1)),
		"oversize":      option.Into(&c.Oversize, readOversize),
	}.Read(query)
}

func readOversize(value string) (Oversize, error) {
	o := Oversize(value)
	return o, o.check()
}
