package filestore

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
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
// Sizes are whole numbers of bytes, or of KiB, MiB or GiB. An option that is unknown, repeated or malformed is
// an error that names it.
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
	return c, nil
}

func fromURL(u *url.URL) (c Config, err error) {
	switch {
	case u.Scheme != "file":
		return c, fmt.Errorf("the scheme is %q; want file", u.Scheme)
	case u.Opaque != "":
		return c, fmt.Errorf("path %q is not absolute; want three slashes, as in file:///var/cache/app", u.Opaque)
	case u.User != nil:
		return c, errors.New("a file has no user and no password; want file:///var/cache/app")
	case u.Host != "" && u.Host != "localhost":
		return c, fmt.Errorf("%q stands where a host does, and only this one's files can be used; want three slashes, as in file:///var/cache/app", u.Host)
	case u.Fragment != "":
		return c, fmt.Errorf("fragment %q means nothing here; write a # in a path as %%23", u.Fragment)
	}
	c.Path = u.Path
	options, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, fmt.Errorf("the options cannot be read: %w", err)
	}
	for name, values := range options {
		if err := c.set(name, values); err != nil {
			return c, err
		}
	}
	return c, nil
}

var optionNames = []string{"max_bytes", "max_value", "fsync"}

func (c *Config) set(name string, values []string) (err error) {
	if !slices.Contains(optionNames, name) {
		return fmt.Errorf("unknown option %q; there are %s", name, strings.Join(optionNames, ", "))
	}
	if len(values) != 1 {
		return fmt.Errorf("option %s is given %d times; want once", name, len(values))
	}
	value := values[0]
	switch name {
	case "max_bytes":
		c.MaxBytes, err = parseSize(value)
	case "max_value":
		c.MaxValue, err = parseSize(value)
	case "fsync":
		if c.Fsync = value == "true"; !c.Fsync && value != "false" {
			err = errors.New("want true or false")
		}
	}
	if err != nil {
		return fmt.Errorf("option %s=%s: %w", name, value, err)
	}
	return nil
}

// parseSize reads a number of bytes greater than 0.
func parseSize(s string) (int64, error) {
	unit := int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB"} {
		if number, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = number, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n == 0 || int64(n) > (1<<63-1)/unit {
		return 0, errors.New("want a whole number of bytes above 0, or of KiB, MiB or GiB, as in 512MiB")
	}
	return int64(n) * unit, nil
}
