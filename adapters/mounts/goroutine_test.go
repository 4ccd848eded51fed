package mounts_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/middleware"
)

// goroutine returns the number of the goroutine that asks.
func goroutine() string {
	buf := make([]byte, 64)
	return string(bytes.Fields(buf[:runtime.Stack(buf, false)])[1])
}

// owned is an outer middleware's writer that belongs to its request's goroutine: the header map and
// the status are touched by nobody else. Only the body may come from beside, which is documented.
type owned struct {
	http.ResponseWriter
	t     *testing.T
	owner string
	sizes *int // of what the owner alone may look at
}

func (w *owned) touched(what string) {
	if g := goroutine(); g != w.owner {
		w.t.Errorf("goroutine %s calls %s, which is goroutine %s's", g, what, w.owner)
	}
	*w.sizes++
}

func (w *owned) Header() http.Header {
	w.touched("Header")
	return w.ResponseWriter.Header()
}

func (w *owned) WriteHeader(status int) {
	w.touched("WriteHeader")
	w.ResponseWriter.WriteHeader(status)
}

func (w *owned) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// outside mounts a middleware with an owned writer around a mount of the cache.
func outside(t *testing.T, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&owned{w, t, goroutine(), new(int)}, r)
	})
}

// apps mounts a handler of net/http's in each framework, inside the cache, inside an owned writer.
func apps(t *testing.T) map[string]func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
	all := map[string]func(*middleware.Cache, http.HandlerFunc) http.Handler{}
	for _, m := range mounts {
		all[m.name] = func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
			return outside(t, m.route(c, h))
		}
	}
	all["echo"] = func(c *middleware.Cache, h http.HandlerFunc) http.Handler {
		e := echo.New()
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				outer := c.Response()
				w := &owned{outer.Writer, t, goroutine(), new(int)}
				outer.Writer = w
				outer.Before(func() { w.touched("a hook of Before") })
				outer.After(func() { w.touched("a hook of After") })
				c.Set("outer", outer)
				return next(c)
			}
		}, echocache.Middleware(c))
		e.GET("/shops/:shop/items/:id", func(c echo.Context) error {
			inner, outer := c.Response(), c.Get("outer").(*echo.Response)
			h(checked{inner, func() { // what the handler writes to is its own, all the time
				if c.Response() != inner {
					t.Error("the Context has another Response than the handler's")
				}
				// the race detector tells who else writes them
				_, _, _ = outer.Size, outer.Committed, outer.Status
			}}, c.Request())
			return nil
		})
		return e
	}
	return all
}

// checked is a writer that runs a check at each write.
type checked struct {
	*echo.Response
	check func()
}

func (w checked) Header() http.Header { w.check(); return w.Response.Header() }

func (w checked) Write(p []byte) (int, error) { w.check(); return w.Response.Write(p) }

func (w checked) WriteHeader(status int) {
	w.check()
	if status < 200 {
		w.Response.Unwrap().WriteHeader(status) // echo's own would commit
		return
	}
	w.Response.WriteHeader(status)
}

// h2Client is a client that reads only when the test says so. Its connection holds nothing on the
// way, so that until then not a byte of the server's is written.
type h2Client struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	window uint32      // how much of each body it is ready to take at first
	writes chan func() // one at a time, beside what is read
}

func newH2Client(t *testing.T, conn net.Conn, window uint32) *h2Client {
	c := &h2Client{t, conn, http2.NewFramer(conn, conn), window, make(chan func(), 1000)}
	go func() {
		for write := range c.writes {
			write()
		}
	}()
	return c
}

func (c *h2Client) ask(path string) {
	c.t.Helper()
	var fields bytes.Buffer
	enc := hpack.NewEncoder(&fields)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"},
		{":authority", "example.com"},
		{":path", path}} {
		enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	window := c.window
	c.writes <- func() {
		io.WriteString(c.conn, http2.ClientPreface)
		c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
		c.framer.WriteWindowUpdate(0, 1<<30)
		c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(),
			EndStream:  true,
			EndHeaders: true})
	}
}

// read reads the response to its end, or until the stream is reset.
func (c *h2Client) read() (statuses []string, body int, whole bool) {
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			return statuses, body, false
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.writes <- func() { c.framer.WriteSettingsAck() }
			}
		case *http2.MetaHeadersFrame:
			statuses = append(statuses, f.PseudoValue("status"))
		case *http2.DataFrame:
			body += len(f.Data())
			if f.StreamEnded() {
				return statuses, body, true
			}
			if c.window < 1<<20 && len(f.Data()) > 0 {
				n := uint32(len(f.Data()))
				c.writes <- func() { c.framer.WriteWindowUpdate(1, n) }
			}
		case *http2.RSTStreamFrame:
			return statuses, body, false
		}
	}
}

// pipes is a listener whose connections hold nothing on the way.
type pipes struct{ conns chan net.Conn }

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l pipes) Close() error   { return nil }
func (l pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// serveH2 serves h over HTTP/2 on pipes, and returns what makes clients and what ends the server.
func serveH2(t *testing.T, h http.Handler) (connect func(window uint32) *h2Client, stop func()) {
	l := pipes{make(chan net.Conn)}
	srv := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	srv.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()
	var all []*h2Client
	connect = func(window uint32) *h2Client {
		client, server := net.Pipe()
		l.conns <- server
		all = append(all, newH2Client(t, client, window))
		return all[len(all)-1]
	}
	return connect, func() {
		for _, c := range all {
			c.conn.Close()
			close(c.writes)
		}
		close(l.conns)
		<-served
		srv.Close()
	}
}

// A client over HTTP/2 that reads nothing leads a page with early hints and a long body, and reads
// in the end. Nothing of the framework's is touched beside the handler, the others have the page
// meanwhile, and what is stored is whole.
func TestNothingOfTheFrameworkIsTouchedBesideTheHandler(t *testing.T) {
	const size = 256 << 10
	for name, mount := range apps(t) {
		for _, window := range []uint32{1 << 20, 1 << 10} {
			t.Run(fmt.Sprintf("%s, window %d", name, window), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					var runs atomic.Int64
					goOn := make(chan struct{})
					app := mount(c, func(w http.ResponseWriter, r *http.Request) {
						run := runs.Add(1)
						if run == 1 { // httptest's recorder takes a 103 for the response
							w.Header().Set("Link", "</style.css>; rel=preload")
							w.WriteHeader(http.StatusEarlyHints)
						}
						w.Header().Set("Cache-Control", "max-age=60")
						for i := range size / (16 << 10) {
							if run == 1 && i == 4 {
								<-goOn
							}
							w.Header().Set("X-Part", fmt.Sprint(i))
							io.WriteString(w, strings.Repeat("x", 16<<10))
						}
					})
					connect, stop := serveH2(t, app)
					leader := connect(window)
					leader.ask("/shops/a/items/1")
					synctest.Wait()
					want(t, "runs", runs.Load(), 1)

					var another atomic.Int64
					var all sync.WaitGroup
					all.Go(func() { another.Store(int64(get(app, "/shops/a/items/1").Body.Len())) })
					time.Sleep(time.Second)
					want(t, "what another client has after a second", another.Load(), size)
					done := make(chan struct{})
					go func() {
						defer close(done)
						statuses, body, whole := leader.read()
						want(t, "the leader's statuses", fmt.Sprint(statuses), "[103 200]")
						want(t, "the leader's body", body, size)
						want(t, "whole", whole, true)
					}()
					synctest.Wait()
					close(goOn)
					<-done
					all.Wait()
					stop()
					want(t, "stored", get(app, "/shops/a/items/1", "Cache-Control",
						"only-if-cached").Body.Len(), size)
					if err := c.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A client over HTTP/2 that gives its stream no window is cut off after a minute, of a hit as of a
// response for it alone, in each framework.
func TestAStreamWithoutAWindowIsCutOff(t *testing.T) {
	for name, mount := range apps(t) {
		for _, says := range []string{"max-age=6000", "private"} {
			t.Run(name+", "+says, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					app := mount(c, func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Cache-Control", says)
						io.WriteString(w, strings.Repeat("x", 256<<10))
					})
					get(app, "/shops/a/items/1")
					connect, stop := serveH2(t, app)
					client := connect(1 << 20)
					client.window = 1 << 10
					client.ask("/shops/a/items/1")
					client.window = 1 << 20 // and it gives no more
					start := time.Now()
					_, _, whole := client.read()
					want(t, "whole", whole, false)
					want(t, "cut off after", time.Since(start), time.Minute)
					stop()
					if err := c.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}
