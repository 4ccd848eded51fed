package filestore

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/internal/option"
)

func init() {
	drivers.Register(drivers.Driver{Kind: "file", Schemes: []string{"file"}, Open: openURL})
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
//	file:///var/cache/app?max_bytes=10GiB&max_value=50MiB&fsync=true
//
// Sizes are whole numbers of bytes, or of KiB, MiB or GiB. An option that is unknown, repeated or
// malformed is an error that names it.
func ParseURL(rawURL string) (Config, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		var wrong *url.Error
		if errors.As(err, &wrong) {
			err = wrong.Err // without the text of the URL, which may hold a password
		}
		return Config{}, fmt.Errorf("filestore: the URL cannot be read: %w", err)
	}
	c, err := fromURL(u)
	if err == nil {
		_, err = c.check()
	}
	if err != nil {
		return Config{}, fmt.Errorf("filestore: %s: %w", u.Redacted(), err)
	}
	return *c, nil
}

func fromURL(u *url.URL) (*Config, error) {
	c := new(Config)
	switch {
	case u.Scheme != "file":
		return c, fmt.Errorf("the scheme is %q; want file", u.Scheme)
	case u.Opaque != "":
		return c, fmt.Errorf("path %q is not absolute; want three slashes, as in "+
			"file:///var/cache/app", u.Opaque)
	case u.User != nil:
		return c, errors.New("a file has no user and no password; want file:///var/cache/app")
	case u.Host != "" && u.Host != "localhost":
		return c, fmt.Errorf("%q stands where a host does, and only this one's files can be "+
			"used; want three slashes, as in file:///var/cache/app", u.Host)
	case u.Fragment != "":
		return c, fmt.Errorf("fragment %q means nothing here; write a # in a path as %%23",
			u.Fragment)
	}
	c.Path = u.Path
	return c, option.Readers{
		"max_bytes": option.Into(&c.MaxBytes, option.Size),
		"max_value": option.Into(&c.MaxValue, option.Size),
		"fsync":     option.Into(&c.Fsync, option.Bool),
	}.Read(u.RawQuery)
}
