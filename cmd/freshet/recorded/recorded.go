// Package recorded reads an HTTP exchange that was recorded: what curl prints with -v or -i, or an
// HTTP Archive (HAR) as browsers save it. Its functions are safe for concurrent use.
package recorded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Exchange is one request and the final response to it.
type Exchange struct {
	Method string // empty: the recording has none
	URL    *url.URL
	Header http.Header // of the request; never nil

	Status   int
	Response http.Header // never nil
	Body     int64       // the length of the body, in bytes; -1: unknown

	// At is when the response came, as far as the recording tells: by the archive's clock, or else
	// the response's Date and Age. Zero: unknown.
	At time.Time
	// Format is "curl -v", "curl -i" or "HAR".
	Format string
}

// MaxBytes is the longest recording that is read, in bytes.
const MaxBytes = 64 << 20

const allowed = `allowed are what "curl -v URL 2>&1" and "curl -i URL" print, and a HAR file or one entry of it`

// Read reads the recording. Of several exchanges, as curl -L makes them, the last counts; of an
// archive the entry whose URL is want, or the only one where want is nil. The error says what is
// wrong and what is allowed.
func Read(r io.Reader, want *url.URL) (*Exchange, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("the recording cannot be read: %w", err)
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("the recording is longer than %d MiB", MaxBytes>>20)
	}
	x := &Exchange{}
	switch begin := bytes.TrimLeft(text, " \t\r\n\ufeff"); {
	case len(begin) == 0:
		return nil, errors.New("the recording is empty: " + allowed)
	case begin[0] == '{':
		x, err = readArchive(begin, want)
	case bytes.HasPrefix(begin, []byte("HTTP/")):
		x.Format = "curl -i"
		err = x.readPlain(begin)
	default:
		x.Format = "curl -v"
		err = x.readVerbose(text)
	}
	if err != nil {
		return nil, err
	}
	return x, x.complete()
}

// complete fills in what follows from the rest.
func (x *Exchange) complete() error {
	if x.Header == nil {
		x.Header = http.Header{}
	}
	if x.Response == nil {
		x.Response = http.Header{}
	}
	if x.Status < 200 || x.Status > 999 {
		return fmt.Errorf("the recording has no final response (status %d): %s", x.Status, allowed)
	}
	if n, err := strconv.ParseInt(x.Response.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		x.Body = n
	}
	if date, err := http.ParseTime(x.Response.Get("Date")); err == nil && x.At.IsZero() {
		age, _ := strconv.ParseUint(strings.TrimSpace(x.Response.Get("Age")), 10, 31)
		x.At = date.Add(time.Duration(age) * time.Second)
	}
	return nil
}

// readPlain reads one response after the other, as curl -i prints them, and keeps the last. What
// follows its header is its body.
func (x *Exchange) readPlain(text []byte) error {
	for {
		line, rest := cutLine(text)
		if err := x.begin(line); err != nil {
			return err
		}
		for text = rest; ; {
			line, rest = cutLine(text)
			text = rest
			if line == "" {
				break
			}
			if err := add(x.Response, line); err != nil {
				return err
			}
		}
		if !interim(x.Status, text) {
			x.Body = int64(len(text))
			return nil
		}
	}
}

// interim reports whether another response follows in text: behind a 1xx, or behind a redirect of
// which curl -L shows the header.
func interim(status int, text []byte) bool {
	return bytes.HasPrefix(text, []byte("HTTP/")) && (status < 200 || status >= 300 && status < 400)
}

// begin takes a status line, and forgets the response before.
func (x *Exchange) begin(line string) error {
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	status, err := strconv.Atoi(code)
	if !strings.HasPrefix(version, "HTTP/") || err != nil || status < 100 || status > 999 {
		return fmt.Errorf("%q is no status line, such as \"HTTP/1.1 200 OK\": %s", short(line),
			allowed)
	}
	x.Status, x.Response = status, http.Header{}
	return nil
}

// readVerbose reads what curl -v prints: "> " before a request's lines, "< " before a response's,
// "* " before remarks. All else is the body.
func (x *Exchange) readVerbose(text []byte) error {
	secure, inRequest := false, false
	target, body, complete := "", int64(0), false
	for len(text) > 0 {
		size := len(text)
		line, rest := cutLine(text)
		text = rest
		said, isRequest := strings.CutPrefix(line, "> ")
		told, isResponse := strings.CutPrefix(line, "< ")
		var err error
		switch {
		case line == ">" || line == "> ":
			inRequest = false
		case line == "<" || line == "< ":
			complete = true
		case isRequest && !inRequest:
			inRequest = true
			err = x.beginRequest(said, &target)
		case isRequest:
			err = add(x.Header, said)
		case isResponse && strings.HasPrefix(told, "HTTP/"):
			body, complete = 0, false
			err = x.begin(told)
		case isResponse && x.Response != nil:
			err = add(x.Response, told)
		case strings.HasPrefix(line, "* "):
			secure = secure || strings.HasPrefix(line, "* SSL connection") ||
				strings.Contains(line, " port 443")
		case strings.HasPrefix(line, "{ [") || strings.HasPrefix(line, "} ["):
		case complete:
			body += int64(size - len(rest))
		}
		if err != nil {
			return err
		}
	}
	x.Body = body
	return x.resolve(target, secure)
}

// beginRequest takes a request line, and forgets the exchange before.
func (x *Exchange) beginRequest(line string, target *string) error {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || !strings.HasPrefix(parts[2], "HTTP/") {
		return fmt.Errorf("%q is no request line, such as \"GET /page HTTP/1.1\": %s", short(line),
			allowed)
	}
	*target = parts[1]
	x.Method, x.Header, x.Status, x.Response = parts[0], http.Header{}, 0, nil
	return nil
}

// resolve makes the URL of the target and the Host field.
func (x *Exchange) resolve(target string, secure bool) error {
	if target == "" {
		return errors.New("the recording has no request: " + allowed)
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	if strings.HasPrefix(target, "/") {
		target = scheme + "://" + x.Header.Get("Host") + target
	}
	delete(x.Header, "Host")
	return x.setURL(target)
}

func (x *Exchange) setURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("the recording's URL %q is not one of http or https with a host",
			short(text))
	}
	x.URL, u.User, u.Fragment = u, nil, ""
	return nil
}

// add takes a field line.
func add(h http.Header, line string) error {
	name, value, found := strings.Cut(line, ":")
	if name = strings.TrimSpace(name); !found || name == "" || strings.ContainsAny(name, " \t") {
		if strings.HasPrefix(line, ":") { // a pseudo field of HTTP/2, as archives have them
			return nil
		}
		return fmt.Errorf("%q is no field line, such as \"Cache-Control: max-age=60\": %s",
			short(line), allowed)
	}
	h.Add(name, strings.TrimSpace(value))
	return nil
}

// cutLine cuts the first line, without its end.
func cutLine(text []byte) (line string, rest []byte) {
	one, rest, _ := bytes.Cut(text, []byte("\n"))
	return string(bytes.TrimSuffix(one, []byte("\r"))), rest
}

// short is a text from the recording for a message, without what may be a secret behind its first
// word.
func short(s string) string {
	s, _, cut := strings.Cut(s, ":")
	if len(s) > 60 {
		s, cut = s[:60], true
	}
	if cut {
		s += "…"
	}
	return s
}
