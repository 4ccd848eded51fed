package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// leavesOnce is the writer of a client that leaves while an informational response is written to
// it. A session middleware outside takes that for the response, and sets its cookie with it.
type leavesOnce struct {
	http.ResponseWriter
	leave func()
	once  bool
}

func (w *leavesOnce) WriteHeader(status int) {
	if !w.once {
		w.once = true
		w.Header().Set("Set-Cookie", "session=ann")
		w.leave()
	}
	w.ResponseWriter.WriteHeader(status)
}

// leaving serves h to clients of whom those with X-Leave leave within the informational response.
func leaving(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { recover() }()
		if r.Header.Get("X-Leave") == "" {
			h.ServeHTTP(w, r)
			return
		}
		ctx, leave := context.WithCancel(r.Context())
		defer leave()
		h.ServeHTTP(&leavesOnce{ResponseWriter: w, leave: leave}, r.WithContext(ctx))
	})
}

// The page of a session whose client leaves within an informational response is nobody else's: the
// cookie that would have said so is lost with the client. That holds in nested mounts, whichever of
// them sees that the client has left, and wherever between them the informational response is made.
func TestAClientThatLeavesWithinAnInformationalResponse(t *testing.T) {
	hint := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			h.ServeHTTP(w, r)
		})
	}
	hideContext := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r.WithContext(context.Background()))
		})
	}
	apart := policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{DropParams: []string{"junk"}}}
	for name, mount := range map[string]func(c, other *middleware.Cache,
		page http.Handler) http.Handler{
		"one mount": func(c, _ *middleware.Cache, page http.Handler) http.Handler {
			return leaving(c.With(minute)(hint(page)))
		},
		"one mount, and a stream": func(c, _ *middleware.Cache, page http.Handler) http.Handler {
			return leaving(c.With(minute)(hint(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				page.ServeHTTP(w, r)
				w.(http.Flusher).Flush()
			}))))
		},
		"a mount inside with a key of its own": func(c, _ *middleware.Cache,
			page http.Handler) http.Handler {
			return leaving(c.With(apart)(c.With(minute)(hint(page))))
		},
		"a mount inside, after the hint": func(c, _ *middleware.Cache,
			page http.Handler) http.Handler {
			return leaving(c.With(apart)(hint(c.With(minute)(page))))
		},
		"a mount of another Cache inside": func(c, other *middleware.Cache,
			page http.Handler) http.Handler {
			return leaving(c.With(minute)(other.With(minute)(hint(page))))
		},
		"a mount inside that is told of no mount outside": func(c, other *middleware.Cache,
			page http.Handler) http.Handler {
			return leaving(c.With(minute)(hideContext(other.With(minute)(hint(page)))))
		},
		"the client of the mount inside alone": func(c, other *middleware.Cache,
			page http.Handler) http.Handler {
			return c.With(minute)(leaving(other.With(minute)(hint(page))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "for ", r.Header.Get("X-Name"))
			}}
			h := mount(newCache(t), newCache(t), o)
			func() {
				defer func() { recover() }()
				get(h, "/", "X-Name", "ann", "X-Leave", "1")
			}()
			for range 2 {
				want(t, "the next client's", body(get(h, "/", "X-Name", "bob")), "for bob")
			}
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}

// Those who wait for the page of a client that leaves within an informational response share a run
// of their own.
func TestThoseWhoWaitForAClientThatLeavesWithinAnInformationalResponse(t *testing.T) {
	c := newCache(t)
	held, told := make(chan struct{}), make(chan struct{})
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		if o.runs.Load() == 1 {
			close(told)
			<-held
			w.WriteHeader(http.StatusEarlyHints)
		}
		fmt.Fprint(w, "for ", r.Header.Get("X-Name"))
	}
	h := leaving(c.With(policy.Policy{TTL: time.Minute, MaxWait: -1})(o))
	first := make(chan struct{})
	go func() { defer close(first); get(h, "/", "X-Name", "ann", "X-Leave", "1") }()
	<-told
	second := make(chan string)
	go func() { second <- body(get(h, "/", "X-Name", "bob")) }()
	close(held)
	want(t, "the one that waited", <-second, "for bob")
	<-first
	want(t, "the next", body(get(h, "/", "X-Name", "carl")), "for bob")
	want(t, "runs", o.runs.Load(), int64(2))
}

// Where nobody outside can set a field, the page of a client that leaves within an informational
// response is as good as any other.
func TestAClientOfTheServerThatLeavesWithinAnInformationalResponse(t *testing.T) {
	c := newCache(t)
	h := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "page")
	}))
	leaves := make(chan context.CancelFunc, 1)
	s := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		ctx, leave := context.WithCancel(r.Context())
		leaves <- leave
		h.ServeHTTP(w, r.WithContext(ctx))
	})}
	mine, its := net.Pipe() // what is written to it waits to be read
	l := &oneConn{conn: its, closed: make(chan struct{})}
	served := make(chan struct{})
	go func() { defer close(served); s.Serve(l) }()
	io.WriteString(mine, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	io.ReadFull(mine, make([]byte, 1)) // the informational response is being written
	(<-leaves)()
	io.Copy(io.Discard, mine)
	s.Close()
	<-served
	status(t, get(h, "/"), "hit")
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
