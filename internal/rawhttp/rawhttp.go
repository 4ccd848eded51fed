// Package rawhttp sends requests of tests exactly as they are written, as no HTTP client does, and
// serves what they are sent to.
package rawhttp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Reply is what came back.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// String returns what a browser would make of the reply.
func (r Reply) String() string {
	return fmt.Sprint(r.Status, " ", r.Header.Get("Location"), " ", r.Body)
}

// Form is a way to ask for something.
type Form func(t testing.TB, address string) Reply

// HTTP1 is a request line and the lines of a header, sent to a connection of their own.
func HTTP1(lines ...string) Form {
	return func(t testing.TB, address string) Reply {
		t.Helper()
		conn := dial(t, address)
		defer conn.Close()
		io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return Reply{res.StatusCode, res.Header, string(body)}
	}
}

// HTTP2 is a GET with the pseudo-header fields and the fields given, such as ":path: /x", sent
// without TLS.
func HTTP2(fields ...string) Form {
	return func(t testing.TB, address string) Reply {
		t.Helper()
		conn := dial(t, address)
		defer conn.Close()
		io.WriteString(conn, http2.ClientPreface)
		framer := http2.NewFramer(conn, conn)
		framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		framer.WriteSettings()
		framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, BlockFragment: block(fields), EndStream: true, EndHeaders: true,
		})
		return readReply(t, framer)
	}
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func block(fields []string) []byte {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for _, field := range append([]string{":method: GET", ":scheme: http"}, fields...) {
		name, value, _ := strings.Cut(field[1:], ": ")
		encoder.WriteField(hpack.HeaderField{Name: field[:1] + name, Value: value})
	}
	return b.Bytes()
}

func readReply(t testing.TB, framer *http2.Framer) Reply {
	t.Helper()
	got := Reply{Header: http.Header{}}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			fmt.Sscan(f.PseudoValue("status"), &got.Status)
			for _, field := range f.RegularFields() {
				got.Header.Add(field.Name, field.Value)
			}
		case *http2.DataFrame:
			got.Body += string(f.Data())
		case *http2.RSTStreamFrame:
			t.Fatalf("the server refused the request: %v", f.ErrCode)
		}
		switch h := frame.Header(); h.Type {
		case http2.FrameHeaders, http2.FrameData:
			if h.Flags.Has(http2.FlagDataEndStream) {
				return got
			}
		}
	}
}

// Serve serves HTTP/1.1 and HTTP/2, without TLS, at one address until the test ends.
func Serve(t testing.TB, h http.Handler) (address string) {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Page is http://victim.example/page as browsers ask for it.
var Page = HTTP1("GET /page HTTP/1.1", "Host: victim.example")

// PageForms are the ways in which no browser asks for http://victim.example/page, but an attacker
// may. The server takes each for that URL's host and path.
var PageForms = []struct {
	Story string
	Ask   Form
}{
	{"in capitals", HTTP1("GET /page HTTP/1.1", "Host: VICTIM.EXAMPLE")},
	{"in some capitals", HTTP1("GET /page HTTP/1.1", "Host: Victim.example")},
	{"with the default port", HTTP1("GET /page HTTP/1.1", "Host: victim.example:80")},
	{"with zeros before it", HTTP1("GET /page HTTP/1.1", "Host: victim.example:0080")},
	{"with an empty port", HTTP1("GET /page HTTP/1.1", "Host: victim.example:")},
	{"as a full domain name", HTTP1("GET /page HTTP/1.1", "Host: victim.example.")},
	{"as a full domain name with a port", HTTP1("GET /page HTTP/1.1", "Host: victim.example.:80")},
	{"absolute", HTTP1("GET http://victim.example/page HTTP/1.1", "Host: victim.example")},
	{"absolute, in capitals", HTTP1("GET HTTP://VICTIM.EXAMPLE/page HTTP/1.1",
		"Host: victim.example")},
	{"absolute, with a port", HTTP1("GET http://victim.example:80/page HTTP/1.1",
		"Host: victim.example")},
	{"absolute, of another scheme", HTTP1("GET https://victim.example/page HTTP/1.1",
		"Host: victim.example")},
	{"absolute, of a scheme that is none", HTTP1("GET evil://victim.example/page HTTP/1.1",
		"Host: victim.example")},
	{"absolute, with a user", HTTP1("GET http://evil@victim.example/page HTTP/1.1",
		"Host: victim.example")},
	{"absolute, with another Host", HTTP1("GET http://victim.example/page HTTP/1.1",
		"Host: evil.example")},
	{"HTTP/2, in capitals", HTTP2(":path: /page", ":authority: VICTIM.EXAMPLE")},
	{"HTTP/2, with the default port", HTTP2(":path: /page", ":authority: victim.example:80")},
	{"HTTP/2, as a full domain name", HTTP2(":path: /page", ":authority: victim.example.")},
	{"HTTP/2, absolute", HTTP2(":path: http://victim.example/page", ":authority: victim.example")},
	{"HTTP/2, absolute, elsewhere", HTTP2(":path: http://evil.example/page",
		":authority: victim.example")},
	{"HTTP/2, with another Host", HTTP2(":path: /page", ":authority: victim.example",
		"host: evil.example")},
	{"HTTP/2, with Host alone", HTTP2(":path: /page", "host: VICTIM.example")},
}
