package front

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// endless is a connection whose client asks for the same n times, and takes all.
type endless struct {
	net.Conn
	request string
	n       int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	e.n--
	return copy(p, e.request), nil
}

func (e *endless) Write(p []byte) (int, error)       { return len(p), nil }
func (e *endless) SetReadDeadline(t time.Time) error { return nil }
func (e *endless) RemoteAddr() net.Addr              { return &net.TCPAddr{} }

func BenchmarkHit(b *testing.B) {
	for name, request := range map[string]string{
		"200": get("/a"), "304": get("/a", "If-None-Match: \"1\""),
	} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, &Front{}, middleware.Options{}, minutely)
			c := s.dial()
			for s.front.answered() == 0 {
				c.do(request)
			}
			in := &conn{Conn: &endless{request: request, n: b.N}, s: s.front, ctx: background()}
			in.self = in
			in.init()
			p := make([]byte, 4096)
			b.ReportAllocs()
			b.ResetTimer()
			n, err := in.Read(p)
			if n != 0 || err != io.EOF {
				b.Errorf("net/http got %d bytes, %v", n, err)
			}
		})
	}
}
