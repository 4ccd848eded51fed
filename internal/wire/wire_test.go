package wire

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A head is what net/http's server sends, whatever the handler has put into the header.
func TestAsNetHTTP(t *testing.T) {
	for name, h := range map[string]http.Header{
		"usual": {"Content-Type": {"text/html"}, "Etag": {`"1"`}, "X": {"a", "b"}, "Content-Length": {"0"}},
		"lines": {"X": {"a\nb", "c\r\nD: e", " f\t", "\n", ""}, "Content-Type": nil, "Content-Length": {"0"}},
		"names": {"x-lower": {"1"}, "X Y": {"2"}, "": {"3"}, "X:Y": {"4"}, "É": {"5"},
			"Content-Length": {"0"}, "Content-Type": {"a"}},
		"no content": {"Content-Type": {"text/plain"}, "Content-Length": {"0"}},
	} {
		for _, status := range []int{200, 204, 304, 404, 410, 799} {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for name, values := range h {
					w.Header()[name] = values
				}
				w.Header()["Date"] = []string{"now"}
				w.WriteHeader(status)
			}))
			got := AppendStatus(nil, status)
			own := h.Clone()
			own["Date"] = []string{"now"}
			got = append(new(Header).Append(got, own, status), "\r\n"...)
			want := raw(t, srv)
			if string(got) != want {
				t.Errorf("%s, %d:\n%q, net/http sends\n%q", name, status, got, want)
			}
			srv.Close()
		}
	}
}

// raw returns the head of a response as it came.
func raw(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(all), "\r\n\r\n")
	return strings.Replace(head+"\r\n\r\n", "Connection: close\r\n", "", 1)
}
