package httpstore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/option"
)

const (
	plainScheme     = "http+store"
	encryptedScheme = "https+store"
)

func init() {
	drivers.Register(drivers.Driver{Kind: "http", Schemes: []string{plainScheme, encryptedScheme},
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

// ParseURL reads a Config from one of these, with options in the query:
//
//	https+store://[user:password@]host[:port][/path]
//	http+store://…                                   the same without TLS
//
// Options are token, token_file, ttl_header, ttl_query, allow, ca_file, cert_file, key_file,
// max_item_size (a number of bytes), pool_size, dial_timeout and timeout (as 500ms, or a number of
// seconds). Any other is an error. No error shows a password or a token. / ? # @ and % in a user or
// password must be percent-encoded.
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

// masked is the part of a URL that may be shown: what is before the query, without the credentials.
func masked(rawURL string) string {
	path, _, _ := strings.Cut(rawURL, "?")
	scheme, rest, ok := strings.Cut(path, "://")
	if !ok {
		return "***" // wherever a password may be in it
	}
	return httpclient.Shown(rawURL, scheme, rest)
}

func parseURL(rawURL string) (Config, error) {
	var c Config
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok || scheme != plainScheme && scheme != encryptedScheme {
		return c, fmt.Errorf("it must begin with %s:// or %s://", encryptedScheme, plainScheme)
	}
	if strings.Contains(rest, "#") {
		return c, errors.New("a fragment has no meaning here; # in a user, password or token is %23")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, slash := strings.Cut(rest, "/")
	if strings.Contains(path, "@") {
		return c, errors.New("an @ after the first /; percent-encode both in user and password, " +
			"and @ in the path")
	}
	host := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		var err error
		if c.Authorization, err = basic(authority[:i]); err != nil {
			return c, err
		}
		host = authority[i+1:]
	}
	c.URL = strings.TrimSuffix(scheme, "+store") + "://" + host
	if slash {
		c.URL += "/" + path
	}
	token := ""
	err := option.Readers{
		"token":         option.Into(&token, option.Text),
		"token_file":    option.Into(&c.TokenFile, option.Text),
		"ttl_header":    option.Into(&c.TTLHeader, option.Text),
		"ttl_query":     option.Into(&c.TTLQuery, option.Text),
		"allow":         option.Into(&c.Allow, httpclient.ReadAllow),
		"ca_file":       option.Into(&c.CAFile, option.Text),
		"cert_file":     option.Into(&c.CertFile, option.Text),
		"key_file":      option.Into(&c.KeyFile, option.Text),
		"max_item_size": option.Into(&c.MaxItemSize, option.Number(1)),
		"pool_size":     option.Into(&c.PoolSize, option.Number(1)),
		"dial_timeout":  option.Into(&c.DialTimeout, option.Duration),
		"timeout":       option.Into(&c.Timeout, option.Duration),
	}.Read(query)
	switch {
	case err != nil:
		return c, err
	case token != "" && c.Authorization != "":
		return c, errors.New("a user and a token; one of them is allowed")
	case token != "":
		c.Authorization = "Bearer " + token
	}
	return c, nil
}

// basic returns the Authorization of user:password, percent-encoded (RFC 7617).
func basic(userinfo string) (string, error) {
	user, password, _ := strings.Cut(userinfo, ":")
	user, err1 := url.PathUnescape(user)
	password, err2 := url.PathUnescape(password)
	switch {
	case err1 != nil || err2 != nil:
		return "", errors.New("user or password: a % that is not followed by two hexadecimal " +
			"digits; write it %25")
	case strings.Contains(user, ":"):
		return "", errors.New("a user with a : in it, which Basic authentication cannot tell")
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)), nil
}
