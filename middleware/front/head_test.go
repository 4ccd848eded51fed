package front

import (
	"bufio"
	"bytes"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/middleware"
)

// reads compares what the front reads of b with what net/http does: wherever the front says that a
// head is whole, net/http takes the same bytes for a request, and no more.
func reads(t *testing.T, b []byte) (whole bool) {
	t.Helper()
	var h head
	h.parse(b, mostHead)
	if !h.whole {
		return false
	}
	src := bytes.NewReader(b)
	rd := bufio.NewReaderSize(src, 4<<10)
	r, err := http.ReadRequest(rd)
	if err != nil {
		// the front need not know what net/http refuses, if it answers nothing, and net/http gets
		// all and closes the connection
		if h.method != "" && mayBeKnown(h.target.of(b)) {
			t.Errorf("%q: the front takes it for a request, and net/http does not: %v", b, err)
		}
		return true
	}
	if used := int64(len(b) - src.Len() - rd.Buffered()); used != h.size {
		t.Errorf("%q: a head of %d bytes, net/http's has %d", b, h.size, used)
	}
	if want := max(h.content, 0); r.ContentLength != want || len(r.TransferEncoding) > 0 {
		t.Errorf("%q: content of %d bytes, net/http's of %d, %v", b, h.content, r.ContentLength, r.TransferEncoding)
	}
	if r.Close != h.last || r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.Header.Get("Expect") != "" ||
		r.Header.Get("Upgrade") != "" {
		t.Errorf("%q: whole, though it is %s, closes: %v, %v", b, r.Proto, r.Close, r.Header)
	}
	if r.Host != string(h.host.of(b)) || r.RequestURI != string(h.target.of(b)) || h.method != "" && r.Method != h.method {
		t.Errorf("%q: %s %q of %q; net/http's is %s %q of %q", b, h.method, h.target.of(b), h.host.of(b),
			r.Method, r.RequestURI, r.Host)
	}
	if h.method == "" || h.content >= 0 {
		return true
	}
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		t.Fatal(err)
	}
	target := &middleware.Target{Method: h.method, Host: r.Host, RequestURI: r.RequestURI, URL: u}
	c := &conn{Conn: newLine(), head: h, ctx: background()}
	for range 2 {
		q := c.request.of(c, b, target)
		if !maps.EqualFunc(q.Header, r.Header, slices.Equal) || *q.URL != *r.URL || q.Host != r.Host {
			t.Errorf("%q: %v; net/http's is %v", b, q.Header, r.Header)
		}
		c.head.same = true
	}
	return true
}

// mayBeKnown reports whether net/http may have taken a target before: what it refuses is never
// known.
func mayBeKnown(target []byte) bool {
	_, err := url.ParseRequestURI(string(target))
	return err == nil
}

func FuzzHead(f *testing.F) {
	for _, method := range methods {
		f.Add([]byte(method + " /a HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	}
	for _, target := range targets {
		f.Add([]byte("GET " + target + " HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	}
	for _, version := range versions {
		f.Add([]byte("GET /a" + version + "Host: example.com\r\n\r\n"))
	}
	for _, line := range slices.Concat(hosts, extras) {
		f.Add([]byte("GET /a HTTP/1.1\r\nHost: example.com\r\n" + line + "\r\n\r\n"))
		f.Add([]byte("POST /a HTTP/1.1\r\n" + line + "\r\n\r\nhello"))
	}
	for _, end := range ends {
		f.Add([]byte("GET /a HTTP/1.1\r\nHost: example.com" + end))
	}
	f.Fuzz(func(t *testing.T, b []byte) { reads(t, b) })
}

// What random requests are is what net/http says, with a byte of them changed, too.
func TestHeadsAreNetHTTPs(t *testing.T) {
	rounds, wholes := 10_000, 0
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		rounds = 10_000_000
	}
	rnd := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for range rounds {
		b := []byte(strings.Join(newTalk(rnd).pieces, ""))
		if len(b) > 2*mostHead {
			continue
		}
		for range rnd.IntN(3) {
			at := rnd.IntN(len(b))
			switch rnd.IntN(3) {
			case 0:
				b[at] = byte(rnd.IntN(256))
			case 1:
				b = slices.Delete(b, at, at+1)
			default:
				b = slices.Insert(b, at, " \t\r\n:\x00,aA0"[rnd.IntN(10)])
			}
			if len(b) == 0 {
				break
			}
		}
		if reads(t, b) {
			wholes++
		}
	}
	if wholes < rounds/10 {
		t.Errorf("only %d of %d heads were whole", wholes, rounds)
	}
}
