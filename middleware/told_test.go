package middleware_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// givesItsConnection is a client whose connection the handler may have.
type givesItsConnection struct{ *httptest.ResponseRecorder }

func (givesItsConnection) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// The observer hears of a response that came to nothing why that is, and that it is not stored.
func TestWhatTheObserverHearsOfABrokenResponse(t *testing.T) {
	for _, s := range []struct {
		name, method string
		h            func(c *middleware.Cache, w http.ResponseWriter, r *http.Request)
		why          policy.Reason
		status       int // of the handler
	}{
		{"a stream that is cut", "GET", func(_ *middleware.Cache, w http.ResponseWriter,
			r *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "page")
			w.(http.Flusher).Flush()
		}, policy.Reason("cut"), 200},
		{"a connection that is taken", "GET", func(_ *middleware.Cache, w http.ResponseWriter,
			r *http.Request) {
			if _, _, err := w.(http.Hijacker).Hijack(); err != nil {
				t.Error(err)
			}
		}, policy.Reason("hijacked"), 0},
		{"an answer to a POST, and a panic", "POST", func(_ *middleware.Cache,
			w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Location", "/")
			w.Header().Set("Content-Length", "4")
			io.WriteString(w, "page")
			panic(http.ErrAbortHandler)
		}, "", 200},
		{"a change that comes meanwhile", "GET", func(c *middleware.Cache, w http.ResponseWriter,
			r *http.Request) {
			if _, err := c.InvalidateURL(r.Context(), "http://example.com/"); err != nil {
				t.Error(err)
			}
			io.WriteString(w, "page")
		}, policy.Reason("outdated"), 200},
		{"a handler that is lost", "GET", func(_ *middleware.Cache, w http.ResponseWriter,
			r *http.Request) {
			middleware.FromContext(r.Context()).Fail(errors.New("no origin"))
			w.WriteHeader(http.StatusBadGateway)
		}, policy.Reason("lost"), 0},
	} {
		t.Run(s.name, func(t *testing.T) {
			var told []policy.Outcome
			c := newCache(t, middleware.Options{Observe: func(r *http.Request, o middleware.Event) {
				if r.Method == s.method {
					told = append(told, o.Outcome)
				}
			}})
			h := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				s.h(c, w, r)
			}))
			w := givesItsConnection{httptest.NewRecorder()}
			func() {
				defer func() { recover() }()
				h.ServeHTTP(w, httptest.NewRequest(s.method, "/", nil))
			}()
			says := w.Header().Get("Cache-Status")
			if known := s.why == policy.Reason("outdated") || s.why == policy.Reason("lost"); known != strings.Contains(says, "detail=") {
				t.Errorf("Cache-Status, which is sent before anything breaks, is %q", says)
			}
			if len(told) != 1 || told[0].Stored || told[0].Detail != s.why ||
				told[0].FwdStatus != s.status {
				t.Errorf(
					"the observer heard %+v, want one that is not stored, for %q, of status %d",
					told, s.why, s.status)
			}
		})
	}
}

// A panic after a 304 has said all there is to say is logged, and the client has its page.
func TestAPanicBehindA304(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				panic("too late")
			}
			io.WriteString(w, "page")
		}))
		get(h, "/")
		time.Sleep(2 * time.Minute)
		want(t, "the page", body(get(h, "/")), "page")
		want(t, "the log tells of the panic", strings.Contains(log.String(), "too late"), true)
		status(t, get(h, "/"), "hit")
	})
}

// A panic of a handler whose response streams is logged, since nobody outside can make a page of
// it.
func TestAPanicOfAStream(t *testing.T) {
	var log bytes.Buffer
	c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	h := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "page")
		w.(http.Flusher).Flush()
		panic("no more")
	}))
	func() {
		defer func() { want(t, "the panic", recover(), any(http.ErrAbortHandler)) }()
		get(h, "/")
	}()
	want(t, "the log tells of it", strings.Contains(log.String(), "no more"), true)
}

// Streams have validators of their own, made before anybody knows what is in them.
func TestStreamsHaveETagsOfTheirOwn(t *testing.T) {
	h := newCache(t).With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "page")
		w.(http.Flusher).Flush()
	}))
	one, two := get(h, "/1").Header.Get("ETag"), get(h, "/2").Header.Get("ETag")
	if one == "" || one == two {
		t.Errorf("the ETags are %s and %s", one, two)
	}
}
