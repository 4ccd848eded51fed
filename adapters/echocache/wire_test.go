package echocache_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
)

// serve puts the app behind a real server.
func (a *app) serve(t *testing.T) *httptest.Server {
	s := httptest.NewUnstartedServer(a)
	s.Config.ErrorLog = a.StdLogger
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// A response that broke off is neither stored nor taken for whole, however it broke off: an error's
// page is sent in its place while nothing of it has gone out.
func TestCutResponse(t *testing.T) {
	const much = 100 << 10
	for _, story := range []struct {
		name string
		size int
		end  func() error
	}{
		{"an error after much", much, func() error { return io.ErrUnexpectedEOF }},
		{"an error after little", 10, func() error { return io.ErrUnexpectedEOF }},
		{"a panic after much", much, func() error { panic(errors.New("boom")) }},
		{"an abort after much", much, func() error { panic(http.ErrAbortHandler) }},
	} {
		t.Run(story.name, func(t *testing.T) {
			a := newApp(t)
			a.Use(recovers, echocache.Middleware(a.cache))
			a.GET("/", a.counted(func(c echo.Context) error {
				if err := page(strings.Repeat("x", story.size))(c); err != nil {
					t.Error(err)
				}
				return story.end()
			}))
			a.GET("/ok", page("ok"))
			s := a.serve(t)
			once := &http.Client{
				// asks once, not again on an aborted connection
				Transport: &http.Transport{DisableKeepAlives: true}}
			for range 2 {
				r, err := once.Get(s.URL)
				if err == nil {
					_, err = io.ReadAll(r.Body)
					r.Body.Close()
				}
				if err == nil && (story.size == much || r.StatusCode != 500) {
					t.Error("the client took a response that broke off for whole")
				}
				want(t, "afterwards", fetch(t, s.URL+"/ok"), "ok")
			}
			want(t, "runs", a.runs.Load(), 2)
		})
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What a handler flushes through echo's Response reaches the client while the handler goes on.
func TestFlush(t *testing.T) {
	a := newApp(t)
	a.Use(echocache.Middleware(a.cache))
	read := make(chan struct{})
	a.GET("/", a.counted(func(c echo.Context) error {
		if err := page("first;")(c); err != nil {
			return err
		}
		c.Response().Flush()
		<-read
		_, err := c.Response().Write([]byte("second"))
		return err
	}))
	s := a.serve(t)
	r, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	first := make([]byte, len("first;"))
	io.ReadFull(r.Body, first)
	want(t, "while the handler waits", string(first), "first;")
	close(read)
	rest, _ := io.ReadAll(r.Body)
	want(t, "then", string(rest), "second")
	want(t, "a hit", fetch(t, s.URL), "first;second")
	want(t, "logged", a.last(), line{200, 12, nil})
	want(t, "runs", a.runs.Load(), 1)
}

// A handler may take the connection over through echo's Response, with Upgrade or without.
func TestHijack(t *testing.T) {
	for _, fields := range []string{"", "Connection: Upgrade\r\nUpgrade: parrot\r\n"} {
		a := newApp(t)
		a.hijacks = true
		a.Use(echocache.Middleware(a.cache))
		a.GET("/parrot", func(c echo.Context) error {
			conn, rw, err := c.Response().Hijack()
			if err != nil {
				return err
			}
			defer conn.Close()
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " +
				"parrot\r\n\r\n")
			rw.Flush()
			text, _ := rw.ReadString('\n')
			rw.WriteString(text)
			return rw.Flush()
		})
		s := a.serve(t)
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, "GET /parrot HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "status", res.StatusCode, http.StatusSwitchingProtocols)
		io.WriteString(conn, "hello\n")
		text, _ := r.ReadString('\n')
		want(t, "the parrot", text, "hello\n")
		conn.Close()
	}
}

// http.ResponseController finds the connection through echo's Response, on a miss and on a pass.
func TestResponseController(t *testing.T) {
	a := newApp(t)
	a.Use(echocache.Middleware(a.cache))
	deadline := func(c echo.Context) error {
		rc := http.NewResponseController(c.Response())
		if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("%s: SetWriteDeadline: %v", c.Request().Method, err)
		}
		if err := rc.Flush(); err != nil {
			t.Errorf("%s: Flush: %v", c.Request().Method, err)
		}
		_, err := io.WriteString(c.Response(), "done")
		return err
	}
	a.GET("/", deadline)
	a.OPTIONS("/", deadline)
	s := a.serve(t)
	for _, method := range []string{"GET", "OPTIONS"} {
		r, _ := http.NewRequest(method, s.URL, nil)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		want(t, method, string(b), "done")
	}
}

// 103 Early Hints reach the client that asked; the response that follows is accounted for.
func TestEarlyHints(t *testing.T) {
	a := newApp(t)
	a.Use(echocache.Middleware(a.cache))
	a.GET("/", func(c echo.Context) error {
		c.Response().Header().Set("Link", "</a.css>; rel=preload")
		c.Response().Unwrap().WriteHeader(http.StatusEarlyHints) // echo's own would commit
		return page("page")(c)
	})
	s := a.serve(t)
	for _, hints := range []int{1, 0} {
		got := 0
		r, _ := http.NewRequest("GET", s.URL, nil)
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error { got++; return nil },
		}))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		want(t, "early hints", got, hints)
		want(t, "status", res.StatusCode, 200)
		want(t, "logged", a.last(), line{200, 4, nil})
	}
}
