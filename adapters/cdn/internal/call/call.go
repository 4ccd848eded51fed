// Package call is what the targets of package cdn have in common: calls that are bounded in time
// and in what they read, errors without credentials, rates, and purges in several steps.
package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/policy"
)

// DefaultTimeout bounds a call of a target whose options say nothing else.
const DefaultTimeout = 10 * time.Second

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// Client calls the API of one target.
type Client struct {
	name    string
	http    http.Client
	timeout time.Duration
	advice  string // of errors of authentication
	secrets []string
}

// New returns a client for the target called name. It uses a copy of client, or of a default one
// when it is nil, that follows no redirect: the credentials would go along. No error that it
// returns has one of the secrets. A timeout of 0 is the default.
func New(name string, client *http.Client, timeout time.Duration, secrets ...string) *Client {
	c := &Client{name: name, timeout: timeout, secrets: secrets}
	if client != nil {
		c.http = *client
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	if timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	return c
}

// Advising returns a client whose errors of authentication end in advice: the options to check, and
// what to compare them with.
func (c *Client) Advising(advice string) *Client {
	other := *c
	other.advice = advice
	return &other
}

// Hiding returns a client that hides more secrets.
func (c *Client) Hiding(secrets ...string) *Client {
	other := *c
	other.secrets = slices.Concat(secrets, c.secrets)
	return &other
}

// Timeout returns what bounds a call.
func (c *Client) Timeout() time.Duration { return c.timeout }

// Answer is what a target answered.
type Answer struct {
	Status int
	Reason string // of HTTP/1.1: "OK"
	Header http.Header
	Body   []byte
}

// Do makes a call. An answer that is no 2xx is an error, and so is one that is cut off.
func (c *Client) Do(
	ctx context.Context, method, rawURL string, h http.Header, host string, body []byte,
) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, rawURL, strings.NewReader(string(body)))
	if err != nil {
		return nil, c.Fail(cdn.KindPermanent, nil, "the request cannot be made: "+c.clean(err))
	}
	if body == nil {
		r.Body, r.ContentLength, r.GetBody = nil, 0, nil
	}
	if host != "" {
		r.Host = host
	}
	if h != nil {
		r.Header = h
	}
	return c.Send(r)
}

// Send is Do with a request that the caller has made, whose context bounds it alone.
func (c *Client) Send(r *http.Request) (*Answer, error) {
	res, err := c.http.Do(r)
	if err != nil {
		return nil, c.Fail(cdn.KindTemporary, nil, r.Method+": "+c.clean(err))
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode, Header: res.Header}
	_, a.Reason, _ = strings.Cut(res.Status, " ")
	a.Body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case res.StatusCode/100 != 2:
		return a, c.Refused(kindOf(res.StatusCode), r, a)
	case err != nil:
		return a, c.Fail(cdn.KindTemporary, a, "the answer is cut off: "+c.clean(err))
	}
	return a, nil
}

// Refused returns the error of an answer that says that the target did not do what r asked.
func (c *Client) Refused(kind cdn.Kind, r *http.Request, a *Answer) *cdn.Error {
	return c.Fail(kind, a, r.Method+" was answered: "+c.excerpt(a.Body))
}

func kindOf(status int) cdn.Kind {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return cdn.KindAuthentication
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status == http.StatusTooManyRequests, status >= 500:
		return cdn.KindTemporary
	}
	return cdn.KindPermanent
}

// Fail returns an error of the target's. The answer may be nil.
func (c *Client) Fail(kind cdn.Kind, a *Answer, text string) *cdn.Error {
	if kind == cdn.KindAuthentication && c.advice != "" {
		text += ": " + c.advice
	}
	e := &cdn.Error{Target: c.name, Kind: kind, Err: errors.New(text)}
	if a != nil {
		e.Status, e.RetryAfter = a.Status, cdn.RetryAfter(a.Header, time.Now())
	}
	return e
}

// Refuse returns the error of a purge that the target can never take.
func (c *Client) Refuse(format string, args ...any) *cdn.Error {
	return c.Fail(cdn.KindPermanent, nil, fmt.Sprintf(format, args...))
}

// CheckTags returns the error of the first tag that is sent in a field by more than most bytes. The
// limit says what takes no more: "Akamai takes".
func (c *Client) CheckTags(tags []string, field string, most int, limit string) error {
	for _, tag := range tags {
		if sent := policy.SentTag(field, tag); len(sent) > most {
			return c.Refuse("the tag %.32q… is sent as %d bytes: %s at most %d", tag, len(sent), limit,
				most)
		}
	}
	return nil
}

// clean returns an error's text without credentials, and without the URL that was called, which
// tells nothing that the target's name does not.
func (c *Client) clean(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return c.hide(err.Error())
}

func (c *Client) hide(text string) string {
	for _, secret := range c.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

const maxExcerpt = 300

// excerpt returns the beginning of an answer's body as a log may show it. Credentials are hidden
// before it is cut, so that no part of one stays.
func (c *Client) excerpt(body []byte) string {
	text := c.hide(strings.ToValidUTF8(string(body), "?"))
	if len(text) > maxExcerpt {
		text = text[:maxExcerpt]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
		text += "…"
	}
	return fmt.Sprintf("%q", text)
}

// Excerpt returns the beginning of an answer's body as an error may show it.
func (c *Client) Excerpt(a *Answer) string { return c.excerpt(a.Body) }
