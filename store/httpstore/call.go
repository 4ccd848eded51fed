package httpstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/underway"
)

// question is a request for what lies under a key.
type question struct {
	method string
	key    string
	ttl    int64  // of PUT, in seconds
	value  []byte // of PUT
	first  int64  // of GET: how many bytes to ask for; 0: all
}

// answer is what the server said.
type answer struct {
	status int
	header http.Header
	proto  string
	body   []byte // of a GET that succeeded, and nothing of another's
}

const (
	maxRedirects = 3
	// maxNotice is how much is read of a body that nobody needs, to use its connection again.
	maxNotice = 4 << 10
)

// ask sends a question, and again to where a redirect points, and reads the answer. Its errors are
// those of the way and of answers that no status tells.
func (b *Backend) ask(ctx context.Context, q question) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	if b.done.Err() != nil {
		return answer{}, fault.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, b.config.Timeout)
	defer cancel()
	stop := context.AfterFunc(b.done, cancel)
	defer stop()
	res, err := b.send(ctx, q)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header, proto: res.Proto}
	if q.method != http.MethodGet || a.status != http.StatusOK && a.status != http.StatusPartialContent {
		io.CopyN(io.Discard, res.Body, maxNotice)
		return a, nil
	}
	a.body, err = b.read(res, q.first)
	return a, err
}

// send sends a question and follows redirects.
func (b *Backend) send(ctx context.Context, q question) (*http.Response, error) {
	to := b.at(q)
	for range maxRedirects + 1 {
		r, err := b.request(ctx, q, to)
		if err != nil {
			return nil, err
		}
		res, err := b.transport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if !redirects(res.StatusCode) {
			return res, nil
		}
		io.CopyN(io.Discard, res.Body, maxNotice)
		res.Body.Close()
		if to, err = redirected(r, res); err != nil {
			return nil, err
		}
	}
	return nil, refusal(fmt.Sprintf("more than %d redirects", maxRedirects))
}

// at returns the URL of a question.
func (b *Backend) at(q question) *url.URL {
	name := q.key
	if dots(name) {
		name = "~" + name // which no key has
	}
	to := *b.base
	to.Path += "/" + name
	to.RawPath += "/" + strings.ReplaceAll(name, ":", "%3A") // the other characters need no encoding
	if q.method == http.MethodPut && b.config.TTLQuery != "" {
		to.RawQuery = b.config.TTLQuery + "=" + strconv.FormatInt(q.ttl, 10)
	}
	return &to
}

func (b *Backend) request(ctx context.Context, q question, to *url.URL) (*http.Request, error) {
	var body io.Reader
	if q.method == http.MethodPut {
		body = bytes.NewReader(q.value)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, to.String(), body)
	if err != nil {
		return nil, refusal("the server's URL cannot be asked")
	}
	h := r.Header
	h.Set("User-Agent", "freshet-httpstore")
	if b.config.Authorization != "" {
		h.Set("Authorization", b.config.Authorization)
	}
	switch q.method {
	case http.MethodPut:
		h.Set("Content-Type", "application/octet-stream")
		if b.config.TTLHeader != "" {
			h.Set(b.config.TTLHeader, strconv.FormatInt(q.ttl, 10))
		}
	case http.MethodGet, http.MethodHead:
		// The value as it was sent, and from the server itself.
		h.Set("Accept-Encoding", "identity")
		h.Set("Cache-Control", "no-cache")
		if q.first > 0 {
			h.Set("Range", fmt.Sprintf("bytes=0-%d", q.first-1))
		}
	}
	// All four methods may be sent twice: so the transport does when a connection turns out to have
	// been closed. The empty field is not sent.
	h["Idempotency-Key"] = []string{}
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
	if r.Method == http.MethodPut || r.Method == http.MethodDelete {
		switch res.StatusCode {
		case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default: // RFC 9110 section 15.4: the next request may be, or is, a GET
			return nil, refusal(fmt.Sprintf("a redirect of %s with status %d, which may turn it into "+
				"GET; 307 and 308 are followed", r.Method, res.StatusCode))
		}
	}
	to, err := r.URL.Parse(res.Header.Get("Location"))
	switch {
	case err != nil || res.Header.Get("Location") == "":
		return nil, refusal(fmt.Sprintf("status %d without a Location that is a URL", res.StatusCode))
	case to.Scheme != r.URL.Scheme || !strings.EqualFold(hostPort(to), hostPort(r.URL)) || to.User != nil:
		return nil, refusal(fmt.Sprintf("a redirect to another server, %.100q, which is not followed; "+
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

// read reads the body of an answer to GET, as far as it is of use: first bytes, or all of it, of
// which there may be as many as a value has at most.
func (b *Backend) read(res *http.Response, first int64) ([]byte, error) {
	if coding := res.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, refusal(fmt.Sprintf("the value came with Content-Encoding %.40q, which was not "+
			"asked for", coding))
	}
	if res.StatusCode == http.StatusPartialContent &&
		(first == 0 || !strings.HasPrefix(res.Header.Get("Content-Range"), "bytes 0-")) {
		return nil, refusal("a part of the value that was not asked for")
	}
	body := &metered{from: res.Body}
	if first > 0 {
		return io.ReadAll(io.LimitReader(body, first))
	}
	most := b.wireSize()
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

func tooLong(most int64) error {
	return &answerError{store.KindPermanent, fmt.Errorf("%w: the answer has more than %d bytes; "+
		"max_item_size allows no more", store.ErrTooLarge, most)}
}

// metered is a body that knows how much of it has come.
type metered struct {
	from  io.Reader
	meter underway.Meter
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	return n, m.meter.Came(n, err)
}
