package front

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// Where a function of the app changes what ends a response, nothing follows it on its connection.
func TestOnHitChangesTheFraming(t *testing.T) {
	for name, test := range map[string]struct {
		change func(h http.Header)
		whole  bool
	}{
		"no length":      {func(h http.Header) { h.Del("Content-Length") }, true},
		"no number":      {func(h http.Header) { h.Set("Content-Length", "x") }, true},
		"two lengths":    {func(h http.Header) { h.Add("Content-Length", "11") }, true},
		"too long":       {func(h http.Header) { h.Set("Content-Length", "50") }, false},
		"the connection": {func(h http.Header) { h.Set("Connection", "close") }, true},
		"a coding":       {func(h http.Header) { h.Set("Transfer-Encoding", "chunked"); h.Set("Connection", "close") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, &Front{OnHit: func(h http.Header, r *http.Request) { test.change(h) }},
				middleware.Options{}, minutely)
			c := s.dial()
			for range 2 {
				c.do(get("/a"))
			}
			c = s.dial()
			io.WriteString(c, get("/a"))
			got, err := io.ReadAll(c.rd)
			if err != nil || strings.Count(string(got), "HTTP/1.1 ") != 1 {
				t.Errorf("%q, %v, want one response and the end", got, err)
			}
			res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(got))), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if string(body) != "the page /a" || (err == nil) != test.whole {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}

// What the policy's functions look at is a request that routers have seen.
func TestTagsOfSeesWhatTheRouterFound(t *testing.T) {
	wrong := make(chan string, 100)
	p := policy.Policy{TTL: time.Millisecond, StaleWhileRevalidate: time.Hour,
		TagsOf: func(r *http.Request) []string {
			if r.PathValue("id") != "7" {
				wrong <- r.Pattern
			}
			return []string{"page-" + r.PathValue("id")}
		}}
	s := newSite(t, &Front{}, middleware.Options{}, func(s *site) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/{id}", s.cache.With(p)(http.HandlerFunc(s.page)))
		return mux
	})
	s.front.hits.LearnAtOnce()
	c := s.dial()
	for range 5 {
		c.do(get("/7"))
		time.Sleep(5 * time.Millisecond)
	}
	if len(wrong) > 0 {
		t.Errorf("%d calls with a request that no router had seen", len(wrong))
	}
}

// A host that net/http refuses is refused, although there are no rules that tell it from others.
func TestHostsAreThoseOfTheServer(t *testing.T) {
	var h head
	for c := range 256 {
		b := []byte("GET / HTTP/1.1\r\nHost: a" + string([]byte{byte(c)}) + "b\r\n\r\n")
		valid := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
			strings.IndexByte("!$%&()*+,-.:;=['_]~", byte(c)) >= 0 // httpguts.ValidHostHeader
		if got := h.parse(b, mostHead); got != valid {
			t.Errorf("%q: %v", rune(c), got)
		}
	}
}

// A panic in a handshake ends its connection alone, and a protocol of others is net/http's.
func TestHandshakesOfOthers(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	others := make(chan string, 1)
	cache := middleware.New(memstore.New(1<<20), middleware.Options{})
	srv := &http.Server{
		Handler:  cache.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})),
		ErrorLog: log.New(io.Discard, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
			"other": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
				others <- c.ConnectionState().NegotiatedProtocol
			},
		},
		TLSConfig: &tls.Config{
			NextProtos: []string{"other", "http/1.1"},
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName == "bad.example" {
					panic("no such name")
				}
				return &cert.TLS.Certificates[0], nil
			},
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- ServeTLS(srv, l, cache, "", "") }()
	dial := func(name, proto string) error {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{
			InsecureSkipVerify: true, ServerName: name, NextProtos: []string{proto}})
		if err == nil {
			defer c.Close()
			io.ReadAll(c)
		}
		return err
	}
	if err := dial("bad.example", "http/1.1"); err == nil {
		t.Error("a handshake that panicked has gone well")
	}
	if err := dial("good.example", "other"); err != nil {
		t.Fatal(err)
	}
	if got := <-others; got != "other" {
		t.Errorf("%q", got)
	}
	srv.Close()
	<-ended
}
