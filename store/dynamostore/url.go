package dynamostore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/internal/option"
)

func init() {
	drivers.Register(drivers.Driver{Kind: "dynamodb", Schemes: []string{"dynamodb"}, Open: openURL})
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
//	dynamodb://eu-west-1/freshet?consistent=false&timeout=500ms
//	dynamodb://local/freshet?endpoint=http://127.0.0.1:8000
//
// The region may be empty, as in dynamodb:///pages, and then comes from the AWS SDK; the table may
// be, too. The options in the query are Config's other fields, by the names in their comments. Any
// other is an error. Credentials do not stand in a URL.
func ParseURL(rawURL string) (Config, error) {
	c, err := parseURL(rawURL)
	if err == nil {
		_, err = c.check()
	}
	if err != nil {
		text, _ := strings.CutPrefix(err.Error(), string(driver)+": ")
		return Config{}, mistake(rawURL, text, err)
	}
	return c, nil
}

// mistake is an error about a URL, of which it shows what is before the query and has no
// credentials.
func mistake(rawURL, text string, cause error) error {
	shown, _, more := strings.Cut(rawURL, "?")
	scheme, rest, ok := strings.Cut(shown, "://")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "***" + rest[i:]
	}
	if !ok {
		scheme, rest = string(driver), "***" // wherever a password may be in it
	}
	if shown = fmt.Sprintf("%.100q", scheme+"://"+rest); more {
		shown += " with options"
	}
	return &urlError{fmt.Sprintf("%s: url %s: %s", driver, shown, text), cause}
}

type urlError struct {
	text  string
	cause error
}

func (e *urlError) Error() string { return e.text }
func (e *urlError) Unwrap() error { return e.cause }

func parseURL(rawURL string) (c Config, err error) {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok || !strings.EqualFold(scheme, "dynamodb") {
		return c, errors.New("it must begin with dynamodb://")
	}
	rest, query, _ := strings.Cut(rest, "?")
	switch {
	case strings.Contains(rest, "@"):
		return c, errors.New("credentials do not stand in the URL: the AWS SDK finds them, in " +
			"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role")
	case strings.Contains(rest, "#") || strings.Contains(query, "#"):
		return c, errors.New("a fragment, which means nothing here")
	}
	c.Region, c.Table, _ = strings.Cut(rest, "/")
	consistent := true
	err = option.Readers{
		"endpoint":     option.Into(&c.Endpoint, option.Text),
		"profile":      option.Into(&c.Profile, option.Text),
		"consistent":   option.Into(&consistent, option.Bool),
		"oversize":     option.Into(&c.Oversize, readOversize),
		"sweep":        option.Into(&c.Sweep, option.Bool),
		"pool_size":    option.Into(&c.PoolSize, option.Number(1)),
		"dial_timeout": option.Into(&c.DialTimeout, option.Duration),
		"timeout":      option.Into(&c.Timeout, option.Duration),
	}.Read(query)
	c.EventualReads = !consistent
	return c, err
}

func readOversize(value string) (Oversize, error) {
	o := Oversize(value)
	return o, o.check()
}
