package cachekitstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/option"
)

const scheme = "cachekit"

func init() {
	drivers.Register(drivers.Driver{Kind: "cachekit", Schemes: []string{scheme}, Open: openURL})
}

// openURL implements drivers.Driver.Open.
func openURL(rawURL string) (store.Backend, error) {
	c, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	return New(c)
}

// ParseURL reads a Config from a URL, with options in the query:
//
//	cachekit://KEY@api.cachekit.io
//	cachekit://api.cachekit.io?token_file=/run/secrets/cachekit
//	cachekit://values.example:8443/path?allow_custom_host=true&…
//
// Options are token, token_file, allow_custom_host, allow, ca_file, max_item_size (a number of
// bytes), pool_size, dial_timeout and timeout (as 500ms, or a number of seconds). Any other is an
// error. No error shows a key. Without a host it is api.cachekit.io.
func ParseURL(rawURL string) (Config, error) {
	c, err := parseURL(rawURL)
	if err == nil {
		_, _, err = c.check()
	}
	if err != nil {
		text, _ := strings.CutPrefix(err.Error(), string(driver)+": ")
		return Config{}, fmt.Errorf("%s: url %s: %s", driver, masked(rawURL), text)
	}
	return c, nil
}

// masked is the part of a URL that may be shown: what is before the query, without the key.
func masked(rawURL string) string {
	path, _, _ := strings.Cut(rawURL, "?")
	begins, rest, ok := strings.Cut(path, "://")
	if host, _, _ := strings.Cut(rest, "/"); !ok || !strings.Contains(rest, "@") && noHost(host) {
		begins, rest = scheme, "***"
	}
	return httpclient.Shown(rawURL, begins, rest)
}

// noHost reports whether what stands in the place of a host is none, but a key.
func noHost(host string) bool { return strings.Contains(host, "_") }

func parseURL(rawURL string) (c Config, err error) {
	begins, rest, ok := strings.Cut(rawURL, "://")
	if !ok || begins != scheme {
		return c, fmt.Errorf("it must begin with %s://", scheme)
	}
	if strings.Contains(rest, "#") {
		return c, errors.New("a fragment has no meaning here; # in a key is %23")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, slash := strings.Cut(rest, "/")
	if strings.Contains(path, "@") {
		return c, errors.New("an @ after the first /; percent-encode both in a key, and @ in the path")
	}
	host := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if c.APIKey, err = key(authority[:i]); err != nil {
			return c, err
		}
		host = authority[i+1:]
	}
	if noHost(host) {
		return c, errors.New("a host with an underscore, which no host has: a key stands before an " +
			"@, as in cachekit://KEY@" + hosts[0])
	}
	if host != "" || slash && path != "" {
		c.URL = "https://" + host
		if slash {
			c.URL += "/" + path
		}
	}
	token := ""
	err = option.Readers{
		"token":             option.Into(&token, option.Text),
		"token_file":        option.Into(&c.APIKeyFile, option.Text),
		"allow_custom_host": option.Into(&c.AllowCustomHost, option.Bool),
		"allow":             option.Into(&c.Allow, httpclient.ReadAllow),
		"ca_file":           option.Into(&c.CAFile, option.Text),
		"max_item_size":     option.Into(&c.MaxItemSize, option.Number(1)),
		"pool_size":         option.Into(&c.PoolSize, option.Number(1)),
		"dial_timeout":      option.Into(&c.DialTimeout, option.Duration),
		"timeout":           option.Into(&c.Timeout, option.Duration),
	}.Read(query)
	switch {
	case err != nil:
		return c, err
	case token != "" && c.APIKey != "":
		return c, errors.New("a key before the host and a token; one of them is allowed")
	case token != "":
		c.APIKey = token
	}
	return c, nil
}

// key reads the key before the host: alone, or where a password stands.
func key(text string) (string, error) {
	user, password, _ := strings.Cut(text, ":")
	if user != "" && password != "" {
		return "", errors.New("a user and a password; the service knows a key alone, as in KEY@host")
	}
	k, err := url.PathUnescape(user + password)
	if err != nil {
		return "", errors.New("the key has a % that is not followed by two hexadecimal digits; write " +
			"it %25")
	}
	return k, nil
}
