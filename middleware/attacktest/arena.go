package attacktest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// arena is where one attack is played: its pages are asked by nobody else.
type arena struct {
	ctx     context.Context
	site    *Site
	address string
	n       int // the attack's number, which its pages have in their paths
	pages   int
	closing []func()
}

// patience bounds every wait for an answer. It is far beyond what a sound cache takes.
const patience = 30 * time.Second

// failure is panicked with by what an attack cannot go on without.
type failure struct{ error }

func (a *arena) must(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// leave undoes what the attack has begun, last first.
func (a *arena) leave() {
	for i := len(a.closing) - 1; i >= 0; i-- {
		a.closing[i]()
	}
}

func (a *arena) later(f func()) { a.closing = append(a.closing, f) }

// public returns the path of a page that is the same for everybody, and that nobody has asked for
// yet.
func (a *arena) public() string {
	a.pages++
	if a.site.Origin == nil {
		return withQuery(a.site.Public, fmt.Sprintf("attack=%d-%d", a.n, a.pages))
	}
	return fmt.Sprintf("/public/%d-%d", a.n, a.pages)
}

func withQuery(path, query string) string {
	if strings.Contains(path, "?") {
		return path + "&" + query
	}
	return path + "?" + query
}

// personal returns the path of a page that shows who asks for it.
func (a *arena) personal() string {
	if a.site.Origin == nil {
		return a.site.Personal
	}
	a.pages++
	return fmt.Sprintf("/personal/%d-%d", a.n, a.pages)
}

// serve returns the path of a page that h answers, and everything below it.
func (a *arena) serve(h http.HandlerFunc) string {
	a.pages++
	path := fmt.Sprintf("/case/%d-%d", a.n, a.pages)
	a.site.Origin.set(path, h)
	return path
}

// mark is a word that appears nowhere unless the attacker put it there.
func (a *arena) mark() string { return fmt.Sprintf("mark%dmark", a.n) }

// login is the victim's Cookie field, and secret what only the victim may see.
func (a *arena) login() (cookie, secret string) {
	if a.site.Origin == nil {
		return "Cookie: " + a.site.Cookie, a.site.Secret
	}
	secret = fmt.Sprintf("secret%dsecret", a.n)
	return "Cookie: session=" + secret, secret
}

// answer is what one request got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // it did not come whole
}

// has reports whether a word stands anywhere in the answer.
func (r answer) has(word string) bool {
	if strings.Contains(r.body, word) {
		return true
	}
	for _, values := range r.header {
		if strings.Contains(strings.Join(values, "\n"), word) {
			return true
		}
	}
	return false
}

func (r answer) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("%d %.60q", r.status, r.body)
}

// browser is what all visitors send besides what an attack is about.
const browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like " +
	"Gecko) Chrome/142.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: " +
	"en-GB,en;q=0.9\r\nSec-Fetch-Mode: navigate\r\n"

// get asks for a target with a browser's fields and those given, on a connection of its own.
func (a *arena) get(target string, fields ...string) answer {
	return a.do("GET", target, fields...)
}

func (a *arena) do(method, target string, fields ...string) answer {
	c, err := a.connect()
	if err != nil {
		return answer{err: err}
	}
	defer c.Close()
	return c.do(method, target, slices.Concat(fields, []string{"Connection: close"})...)
}

// raw sends bytes as they are and reads one answer to a GET.
func (a *arena) raw(text string) answer {
	c := a.dial()
	defer c.Close()
	c.send(text)
	return c.answer("GET")
}

// host is the name of the site that everybody asks for.
func (a *arena) host() string {
	if a.site.Origin == nil {
		return a.address
	}
	return "victim.example"
}

// client is one connection to the site.
type client struct {
	net.Conn
	a  *arena
	in *bufio.Reader
}

func (a *arena) dial() *client {
	c, err := a.connect()
	a.must(err)
	return c
}

func (a *arena) connect() (*client, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(a.ctx, "tcp", a.address)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	return &client{conn, a, bufio.NewReader(conn)}, nil
}

// send ignores errors: a server may answer, and hang up, before it has read all.
func (c *client) send(text string) { io.WriteString(c.Conn, text) }

func (c *client) do(method, target string, fields ...string) answer {
	c.send(c.a.request(method, target, fields...))
	return c.answer(method)
}

// request is the text of a request. A field given as Host takes the place of the usual one.
func (a *arena) request(method, target string, fields ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, target)
	host := true
	for _, f := range fields {
		host = host && !strings.HasPrefix(strings.ToLower(f), "host:")
	}
	if host {
		fmt.Fprintf(&b, "Host: %s\r\n", a.host())
	}
	b.WriteString(browser)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// answer reads the final answer to a request.
func (c *client) answer(method string) answer {
	for {
		res, err := http.ReadResponse(c.in, &http.Request{Method: method})
		if err != nil {
			return answer{err: fmt.Errorf("no answer: %w", err)}
		}
		if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
		res.Body.Close()
		return answer{res.StatusCode, res.Header, string(body), err}
	}
}
