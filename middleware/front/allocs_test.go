package front

import (
	"io"
	"runtime"
	"testing"

	"github.com/freshet-go/freshet/middleware"
)

// A hit allocates nothing, whole or as a 304, once the connection has answered one of its kind.
func TestAHitAllocatesNothing(t *testing.T) {
	for name, request := range map[string]string{
		"200": get("/a"), "304": get("/a", `If-None-Match: "1"`), "HEAD": "HEAD" + get("/a")[len("GET"):],
	} {
		s := newSite(t, &Front{}, middleware.Options{}, minutely)
		c := s.dial()
		for c.do(get("/a")); s.front.answered() == 0; c.do(request) {
			runtime.Gosched()
		}
		asks := &endless{request: request}
		in := &conn{Conn: asks, s: s.front, ctx: background()}
		in.self = in
		in.init()
		p := make([]byte, 4<<10)
		const each = 100
		ask := func() {
			in.phase.Store(waiting)
			asks.n = each
			if n, err := in.Read(p); n != 0 || err != io.EOF {
				t.Fatalf("%s: net/http got %d bytes, %v", name, n, err)
			}
		}
		ask()
		before := in.hits.Load()
		if got := testing.AllocsPerRun(20, ask); got >= 1 {
			t.Errorf("%s: %v allocations for %d hits", name, got, each)
		}
		if got := in.hits.Load() - before; got != 21*each {
			t.Errorf("%s: %d hits", name, got)
		}
	}
}
