// Package httpclient asks a server that keeps values over HTTP: what the drivers for such servers
// have in common. It checks the address of each connection where its socket is made, bounds what is
// read of an answer, and says what went wrong without showing a credential or a part of an answer.
package httpclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/underway"
)

// Config says how to ask. All fields but Allow, TLS, Redirects, Credential and Dial are required;
// the drivers check them.
type Config struct {
	Driver fault.Driver
	Agent  string // the User-Agent
	// Host is how errors name the server.
	Host string
	// Credential is sent to it; nil: none.
	Credential *Credential
	// Allow has addresses to use although they are not public.
	Allow []netip.Prefix
	TLS   *tls.Config // nil: the system's certificates are trusted
	// Plain says in an error how to write a URL for a server that speaks HTTP without TLS.
	Plain string
	// MaxBody is the longest body to read, in bytes; errors say what option it stands for.
	MaxBody     int64
	PoolSize    int           // connections at most
	Redirects   int           // to follow, on the same server; 0: none
	DialTimeout time.Duration // of a connection
	Timeout     time.Duration // of a question
	// Dial makes a connection in the place of TCP, without a check of its address; nil: TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client asks one server. It is safe for concurrent use.
type Client struct {
	config    Config
	transport *http.Transport
	done      context.Context // of Close
	close     context.CancelFunc
}

// New returns a Client. It does no I/O.
func New(c Config) *Client {
	all := &Client{config: c, transport: newTransport(c)}
	all.done, all.close = context.WithCancel(context.Background())
	return all
}

// Close closes all connections. Questions in progress end with an error, as do all later ones.
func (c *Client) Close() {
	c.close()
	c.transport.CloseIdleConnections()
}

// Question is a request.
type Question struct {
	Method string
	To     *url.URL
	// Header sets the fields of the request besides the Client's own; nil: none.
	Header func(http.Header)
	Body   []byte // sent with PUT, POST and PATCH
	// Wants says that the body of an answer with status 200 or 206 is of use.
	Wants bool
	// First is how many bytes of it to ask for and to read; 0: all.
	First int64
	// Most is the longest body that such an answer may have, in bytes; 0: Config.MaxBody.
	Most int64
}

// Answer is what the server said.
type Answer struct {
	Status int
	Header http.Header
	Proto  string
	Body   []byte // of an answer that succeeded, if the Question wants it
}

// maxNotice is how much is read of a body that nobody needs, to use its connection again.
const maxNotice = 4 << 10

// Ask sends a question, and again to where a redirect points, and reads the answer. Its errors are
// those of the way and of answers that no status tells: Fail makes them those of a call.
func (c *Client) Ask(ctx context.Context, q Question) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	if c.done.Err() != nil {
		return Answer{}, fault.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	stop := context.AfterFunc(c.done, cancel)
	defer stop()
	credential := c.config.Credential.Value()
	a, err := c.ask(ctx, q, credential)
	if err == nil && a.Status == http.StatusUnauthorized {
		if newer := c.config.Credential.Renewed(credential); newer != credential {
			return c.ask(ctx, q, newer)
		}
	}
	return a, err
}

func (c *Client) ask(ctx context.Context, q Question, credential string) (Answer, error) {
	res, err := c.send(ctx, q, credential)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	a := Answer{Status: res.StatusCode, Header: res.Header, Proto: res.Proto}
	if !q.Wants || a.Status != http.StatusOK && a.Status != http.StatusPartialContent {
		io.CopyN(io.Discard, res.Body, maxNotice)
		return a, nil
	}
	a.Body, err = c.read(res, q)
	return a, err
}

// send sends a question and follows redirects.
func (c *Client) send(ctx context.Context, q Question, credential string) (*http.Response, error) {
	to := q.To
	for range c.config.Redirects + 1 {
		r, err := c.request(ctx, q, to, credential)
		if err != nil {
			return nil, err
		}
		res, err := c.transport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if !redirects(res.StatusCode) {
			return res, nil
		}
		io.CopyN(io.Discard, res.Body, maxNotice)
		res.Body.Close()
		if c.config.Redirects == 0 {
			return nil, Refusal(fmt.Sprintf("a redirect, status %d: none is followed", res.StatusCode))
		}
		if to, err = redirected(r, res); err != nil {
			return nil, err
		}
	}
	return nil, Refusal(fmt.Sprintf("more than %d redirects", c.config.Redirects))
}

func (c *Client) request(
	ctx context.Context, q Question, to *url.URL, credential string,
) (*http.Request, error) {
	var body io.Reader
	switch q.Method {
	case http.MethodPut, http.MethodPost, http.MethodPatch:
		body = bytes.NewReader(q.Body)
	}
	r, err := http.NewRequestWithContext(ctx, q.Method, to.String(), body)
	if err != nil {
		return nil, Refusal("the server's URL cannot be asked")
	}
	h := r.Header
	h.Set("User-Agent", c.config.Agent)
	if credential != "" {
		h.Set("Authorization", credential)
	}
	switch q.Method {
	case http.MethodGet, http.MethodHead:
		// The value as it was sent, and from the server itself.
		h.Set("Accept-Encoding", "identity")
		h.Set("Cache-Control", "no-cache")
		if q.First > 0 {
			h.Set("Range", fmt.Sprintf("bytes=0-%d", q.First-1))
		}
	}
	if q.Method != http.MethodPost {
		// The other methods may be sent twice: so the transport does when a connection turns out to
		// have been closed. The empty field is not sent.
		h["Idempotency-Key"] = []string{}
	}
	if q.Header != nil {
		q.Header(h)
	}
	return r, nil
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirected returns where a redirect points, if it may be followed: to the same server, by the
// same method.
func redirected(r *http.Request, res *http.Response) (*url.URL, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		switch res.StatusCode {
		case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default: // RFC 9110 section 15.4: the next request may be, or is, a GET
			return nil, Refusal(fmt.Sprintf("a redirect of %s with status %d, which may turn it into "+
				"GET; 307 and 308 are followed", r.Method, res.StatusCode))
		}
	}
	to, err := r.URL.Parse(res.Header.Get("Location"))
	switch {
	case err != nil || res.Header.Get("Location") == "":
		return nil, Refusal(fmt.Sprintf("status %d without a Location that is a URL", res.StatusCode))
	case to.Scheme != r.URL.Scheme || !strings.EqualFold(hostPort(to), hostPort(r.URL)) || to.User != nil:
		return nil, Refusal(fmt.Sprintf("a redirect to another server, %.100q, which is not followed; "+
			"name that one in the store's URL if it is right", to.Scheme+"://"+to.Host))
	}
	to.Fragment, to.RawFragment = "", ""
	return to, nil
}

// hostPort returns the host and port of a URL, whether the port stands there or not.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Hostname() + ":" + port
}

// read reads the body of an answer as far as it is of use: the first bytes, or all of it.
func (c *Client) read(res *http.Response, q Question) ([]byte, error) {
	if coding := res.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, Refusal(fmt.Sprintf("the value came with Content-Encoding %.40q, which was not "+
			"asked for", coding))
	}
	if res.StatusCode == http.StatusPartialContent &&
		(q.First == 0 || !strings.HasPrefix(res.Header.Get("Content-Range"), "bytes 0-")) {
		return nil, Refusal("a part of the value that was not asked for")
	}
	body := &metered{from: res.Body}
	if q.First > 0 {
		return io.ReadAll(io.LimitReader(body, q.First))
	}
	most, tooLong := c.config.MaxBody, tooLong
	if q.Most > 0 {
		most, tooLong = q.Most, oddlyLong
	}
	if res.ContentLength > most {
		return nil, tooLong(most)
	}
	value := bytes.NewBuffer(make([]byte, 0, min(max(res.ContentLength, 0)+bytes.MinRead, trusted)))
	n, err := value.ReadFrom(io.LimitReader(body, most+1))
	switch {
	case err != nil:
		return nil, err
	case n > most:
		return nil, tooLong(most)
	}
	return value.Bytes(), nil
}

// trusted is up to which length a Content-Length is believed before the bytes are there.
const trusted = 1 << 20

// metered is a body that knows how much of it has come.
type metered struct {
	from  io.Reader
	meter underway.Meter
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	return n, m.meter.Came(n, err)
}
