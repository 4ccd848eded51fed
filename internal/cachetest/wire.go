package cachetest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take before a story is given up.
const patience = 20 * time.Second

// reply is what one client got.
type reply struct {
	status  int
	proto   string
	header  http.Header
	body    string
	trailer http.Header
	early   []*http.Response // informational responses
	err     error            // the response ended before it was complete, or never came
}

// wire is one connection of a client, on which a request is sent byte for byte as the story has it.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	resp *http.Response // after head
	got  reply
}

// dial connects to a server and sends a request.
func dial(t testing.TB, address string, s step) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", s.method, s.target)
	hasHost := false
	for _, line := range s.header {
		b.WriteString(line + "\r\n")
		hasHost = hasHost || strings.HasPrefix(strings.ToLower(line), "host:")
	}
	if !hasHost {
		b.WriteString("Host: site.example\r\n")
	}
	if s.body != "" && !s.rawBody {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(s.body))
	}
	b.WriteString("Connection: close\r\n\r\n" + s.body)
	w := &wire{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	// beside the reading: a server may answer before it has read all
	go io.WriteString(conn, b.String())
	return w
}

// head reads the header of the response, after any informational ones.
func (w *wire) head(method string) *reply {
	for {
		resp, err := http.ReadResponse(w.in, &http.Request{Method: method})
		if err != nil {
			w.got.err = err
			return &w.got
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			w.got.early = append(w.got.early, resp)
			continue
		}
		w.resp = resp
		w.got.status, w.got.header, w.got.proto = resp.StatusCode, resp.Header, resp.Proto
		return &w.got
	}
}

// read reads n bytes of the body.
func (w *wire) read(n int) string {
	b := make([]byte, n)
	n, w.got.err = io.ReadFull(w.resp.Body, b)
	w.got.body += string(b[:n])
	return string(b[:n])
}

// rest reads what is left of the response.
func (w *wire) rest() *reply {
	if w.got.err == nil {
		b, err := io.ReadAll(w.resp.Body)
		w.got.body += string(b)
		w.got.err = err
		w.got.trailer = w.resp.Trailer
	}
	w.conn.Close()
	return &w.got
}

// ask sends a request and reads the whole response.
func ask(t testing.TB, address string, s step) *reply {
	t.Helper()
	w := dial(t, address, s)
	w.head(s.method)
	return w.rest()
}

// newHTTP2 is a client that speaks HTTP/2 over TLS to servers of tests.
func newHTTP2(t testing.TB) *http.Client {
	transport := &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
}

// askHTTP2 sends a request and reads the whole response.
func askHTTP2(t testing.TB, client *http.Client, url string, s step) *reply {
	t.Helper()
	r, err := http.NewRequest(s.method, url+s.target, strings.NewReader(s.body))
	if err != nil {
		t.Fatal(err)
	}
	if s.body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	for _, line := range s.header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	resp, err := client.Do(r)
	if err != nil {
		return &reply{err: err}
	}
	defer resp.Body.Close()
	got := &reply{status: resp.StatusCode, header: resp.Header, proto: resp.Proto}
	body, err := io.ReadAll(resp.Body)
	got.body, got.err, got.trailer = string(body), err, resp.Trailer
	return got
}
