// Package door is a client of the admin door of a running app (adapters/admin): it asks, and says
// in its errors what stands where a door should be.
package door

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/freshet-go/freshet/adapters/admin"
)

const (
	maxAnswer = 16 << 20 // of an answer that is read, in bytes
	askFor    = 30 * time.Second
)

// Client asks one door. It is safe for concurrent use.
type Client struct {
	// At is where the door is mounted, such as http://127.0.0.1:8080/__freshet__.
	At *url.URL
	// Token is sent as Authorization: Bearer. Empty: none is sent.
	Token string
	// Transport makes the requests. Nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// Kind is what stands in the way of an answer.
type Kind int

const (
	Away    Kind = iota // nothing answers, or what stands before the app says that it is away
	Refused             // the token is wrong, or there is none
	NoDoor              // what answers is no door, or one of another version
	Wrong               // the door does not do what it was asked for
)

// Error is an error of a Client. Its text is a sentence that names the door.
type Error struct {
	Kind Kind
	err  error
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Is reports whether err is an Error of a kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}

func (c *Client) fail(kind Kind, format string, args ...any) error {
	return &Error{kind, fmt.Errorf("the door %s %w", c.At.String(), fmt.Errorf(format, args...))}
}

// Get asks for a path behind the door, such as "stats", and returns the answer's body, which is
// JSON. It takes 30 seconds at most. An answer longer than 16 MiB is an error.
func (c *Client) Get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.fetch(ctx, askFor, request{path: path, query: query})
}

// fetch returns the body of an answer, which is JSON and comes within a time.
func (c *Client) fetch(ctx context.Context, within time.Duration, q request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	answer, err := c.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.fail(Away, "broke off its answer: %w", err)
	case len(text) > maxAnswer:
		return nil, c.fail(Wrong, "answered with more than %d MiB", maxAnswer>>20)
	case !json.Valid(text):
		return nil, c.fail(NoDoor, "answered with %.60q, and JSON is wanted", text)
	}
	return text, nil
}

// request is what the door is asked: by POST with a body, and otherwise by GET.
type request struct {
	path  string
	query url.Values
	body  []byte
}

// ask sends a request, and returns an answer of the door's with the status 200.
func (c *Client) ask(ctx context.Context, q request) (*http.Response, error) {
	at := c.At.JoinPath(q.path)
	at.RawQuery = q.query.Encode()
	method, body := http.MethodGet, io.Reader(nil)
	if q.body != nil {
		method, body = http.MethodPost, bytes.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(ctx, method, at.String(), body)
	if err != nil {
		return nil, c.fail(Wrong, "cannot be asked: %w", err)
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json, application/x-ndjson")
	r.Header.Set("User-Agent", "freshet")
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	r.Header.Set("Freshet-Door", "1") // which no other site can have a browser send
	transport := c.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	answer, err := transport.RoundTrip(r) // which follows no redirect
	if err != nil {
		return nil, c.fail(Away, "did not answer: %w", err)
	}
	if err := c.judge(answer); err != nil {
		answer.Body.Close()
		return nil, err
	}
	return answer, nil
}

// judge returns what is wrong with an answer.
func (c *Client) judge(answer *http.Response) error {
	version, is := answer.Header.Get(admin.VersionField), answer.Header[admin.VersionField] != nil
	switch status := answer.StatusCode; {
	case status == http.StatusUnauthorized, !is && status == http.StatusForbidden:
		if c.Token == "" {
			return c.fail(Refused, "wants a token (status %d): give it with --token-file or "+
				"FRESHET_TOKEN", status)
		}
		return c.fail(Refused, "wants another token (status %d): give it with --token-file or "+
			"FRESHET_TOKEN", status)
	case !is && status >= 300 && status < 400:
		return c.fail(NoDoor, "is elsewhere: it redirects to %.200q, and --door wants that "+
			"without what is behind the door", answer.Header.Get("Location"))
	case !is && status >= 500:
		return c.fail(Away, "did not answer: what stands before it says %.60q", answer.Status)
	case !is:
		return c.fail(NoDoor, "is none: what answers there (status %d) is not the admin door of a "+
			"Freshet: --door wants the URL at which the app mounts adapters/admin", status)
	case version != admin.Version:
		return c.fail(NoDoor, "speaks version %.20q, and this freshet version %q: use the freshet "+
			"of the app's version", version, admin.Version)
	case status != http.StatusOK:
		return c.fail(Wrong, "answered with status %d: %.300q", status, detail(answer.Body))
	}
	return nil
}

// detail is what a problem (RFC 9457) says, or the first line of what is none.
func detail(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, 64<<10))
	var problem struct{ Detail string }
	if json.Unmarshal(text, &problem) == nil && problem.Detail != "" {
		return problem.Detail
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return first
}

// read reads an answer that has to be of a kind.
func read[T any](c *Client, text []byte, fits func(*T) bool) (*T, error) {
	to := new(T)
	if err := json.Unmarshal(text, to); err != nil || !fits(to) {
		return nil, c.fail(NoDoor, "answered with what this freshet does not understand: use the "+
			"freshet of the app's version")
	}
	return to, nil
}
