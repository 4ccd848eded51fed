package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Clients write one URL in several ways, and handlers see the same path. Whatever names the URL
// covers them all.
func TestAPurgeCoversAURLHoweverItIsWritten(t *testing.T) {
	for _, c := range []struct{ sent, named string }{
		{"/a|b", "/a|b"}, // as browsers send it
		{"/a|b", "/a%7Cb"},
		{"/a^b", "/a^b"},
		{"/a{b}", "/a{b}"},
		{`/a"b`, `/a"b`},
		{"/caf\xc3\xa9", "/café"}, // as curl sends it
		{"/caf%C3%A9", "/café"},
		{"/caf%C3%A9", "/caf%c3%a9"},
		{"/~user", "/%7Euser"},
		{"/%7euser", "/~user"},
		{"/it's", "/it's"},
		{"/notes/[1]", "/notes/%5B1%5D"}, // as net/url writes a path
		{"/notes/%5b1%5d", "/notes/[1]"},
		{"/x?q[]=1", "/x?q%5B%5D=1"},
		{"/x?q=a|b", "/x?q=a|b"},
		{"/x?q=%c3%a9", "/x?q=%C3%A9"},
	} {
		for _, change := range []string{"InvalidateURL", "DELETE", "Location"} {
			t.Run(fmt.Sprintf("%s by %s of %s", c.sent, change, c.named), func(t *testing.T) {
				cache := newCache(t)
				s := httptest.NewServer(cache.With(policy.Policy{TTL: time.Minute})(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Method == "POST" {
							w.Header().Set("Location", c.named)
						}
						fmt.Fprint(w, r.URL.Path)
					})))
				defer s.Close()
				ask := func(method, target string) string {
					return rawly(t, s.Listener.Addr().String(), method, target)
				}
				ask("GET", c.sent)
				if got := ask("GET", c.sent); !strings.HasPrefix(got, "Freshet; hit") {
					t.Errorf("before: %s", got)
				}
				switch change {
				case "InvalidateURL":
					if _, err := cache.InvalidateURL(context.Background(), s.URL+c.named); err != nil {
						t.Fatal(err)
					}
				case "DELETE":
					ask("DELETE", c.named)
				case "Location":
					ask("POST", "/new")
				}
				want(t, "after", ask("GET", c.sent),
					"Freshet; fwd=uri-miss; fwd-status=200; stored")
			})
		}
	}
}

// Marks of a URI or of how URIs begin count in any form of it, too. Tags are what they are, and the
// caller's marks stay as they were.
func TestMarksNameURIsInAnyForm(t *testing.T) {
	for _, s := range []struct {
		mark  store.Mark
		stays bool
	}{
		{store.Mark{Kind: store.MarkKey, Name: "http://example.com/%7Euser"}, false},
		{store.Mark{Kind: store.MarkPrefix, Name: "http://example.com/%7e"}, false},
		{store.Mark{Kind: store.MarkTag, Name: "http://example.com/%7Etag"}, false},
		{store.Mark{Kind: store.MarkTag, Name: "http://example.com/~tag"}, true},
	} {
		c := newCache(t)
		h := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			middleware.FromContext(r.Context()).Tag("http://example.com/%7Etag")
			fmt.Fprint(w, "page")
		}))
		get(h, "/~user")
		marks := []store.Mark{s.mark}
		if _, err := c.Invalidate(t.Context(), marks...); err != nil {
			t.Fatal(err)
		}
		want(t, "the mark", marks[0], s.mark)
		want(t, fmt.Sprint(s.mark, ": a hit"),
			strings.Contains(get(h, "/~user").Header.Get("Cache-Status"), "hit"), s.stays)
	}
}

// rawly sends a request with the target as it is, and returns Cache-Status.
func rawly(t *testing.T, addr, method, target string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, target,
		addr)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	return res.Header.Get("Cache-Status")
}
