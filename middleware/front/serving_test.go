package front

import (
	stdcontext "context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// inBubble runs a test with an app, served as with and without a front, in virtual time.
func inBubble(t *testing.T, set func(*http.Server), test func(t *testing.T, w *world)) {
	for _, fronted := range []bool{true, false} {
		t.Run(fmt.Sprint("front ", fronted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(fronted, set)
				defer w.end()
				test(t, w)
				if fronted && w.hits() == 0 {
					t.Error("the front has answered nothing")
				}
			})
		})
	}
}

// warm has the front know /a.
func (w *world) warm() {
	for range 3 {
		w.hear(talk{[]string{get("/a")}, []bool{true}})
	}
}

// An idle connection is closed after IdleTimeout, counted from its last response: the front's or
// net/http's.
func TestIdleTimeout(t *testing.T) {
	inBubble(t, func(srv *http.Server) { srv.IdleTimeout = 10 * time.Second }, func(t *testing.T, w *world) {
		w.warm()
		c := w.memory.dial()
		for i := range 5 {
			c.send([]byte(get("/a")))
			synctest.Wait()
			time.Sleep(9 * time.Second)
			synctest.Wait()
			if _, closed := c.got(); closed {
				t.Fatalf("closed after %d responses", i+1)
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, closed := c.got(); !closed {
			t.Error("it is open after 11 seconds")
		}
	})
}

// A head that comes slowly is cut off after ReadHeaderTimeout, after hits as well; a connection
// that is idle for longer is not.
func TestReadHeaderTimeout(t *testing.T) {
	inBubble(t, func(srv *http.Server) {
		srv.ReadHeaderTimeout, srv.IdleTimeout = 10*time.Second, time.Hour
	}, func(t *testing.T, w *world) {
		w.warm()
		for hits := range 3 {
			c := w.memory.dial()
			for range hits {
				c.send([]byte(get("/a")))
				synctest.Wait()
				time.Sleep(40 * time.Second)
			}
			c.send([]byte("GET /a HTTP"))
			time.Sleep(9 * time.Second)
			synctest.Wait()
			c.send([]byte("/1.1\r\nHost: "))
			synctest.Wait()
			if _, closed := c.got(); closed {
				t.Errorf("%d hits: closed before its time", hits)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if _, closed := c.got(); !closed {
				t.Errorf("%d hits: a head of 11 seconds", hits)
			}
		}
	})
}

// ReadTimeout counts from the beginning of a request, not of the connection: content that comes
// within it is read, and later content is not.
func TestReadTimeout(t *testing.T) {
	inBubble(t, func(srv *http.Server) {
		srv.ReadTimeout, srv.IdleTimeout, srv.ReadHeaderTimeout = 10*time.Second, time.Hour, 5*time.Second
	}, func(t *testing.T, w *world) {
		w.warm()
		for _, test := range []struct {
			after time.Duration
			want  string
		}{{9 * time.Second, "5 bytes, <nil>"}, {11 * time.Second, "0 bytes, "}} {
			for hits := range 3 {
				c := w.memory.dial()
				for range hits {
					c.send([]byte(get("/a")))
					synctest.Wait()
					time.Sleep(40 * time.Second)
				}
				c.send([]byte("POST /body HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\n"))
				time.Sleep(test.after)
				c.send([]byte("hello"))
				synctest.Wait()
				if text, _ := c.got(); !strings.Contains(text, test.want) {
					t.Errorf("%d hits, after %v: %.2000q", hits, test.after, text)
				}
				c.end()
			}
		}
	})
}

// A client that leaves ends the context of the handler that works for it, and one that sends its
// next request early does not.
func TestTheClientLeaves(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.warm()
		for _, leaves := range []bool{true, false} {
			c := w.memory.dial()
			c.send([]byte(get("/a")))
			synctest.Wait()
			c.send([]byte(get("/left")))
			synctest.Wait()
			if leaves {
				c.end()
			} else {
				c.send([]byte(get("/a")))
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			ran := w.ran()
			if left := strings.Contains(ran, "left after 0s"); left != leaves {
				t.Errorf("leaves: %v; %s", leaves, ran)
			}
			if text, _ := c.got(); !leaves && strings.Count(text, "HTTP/1.1 200 OK") != 3 {
				t.Errorf("the next request: %q", text)
			}
			c.end()
		}
	})
}

// A client that begins a request with fewer than four bytes after a response, and leaves, gets no answer
// to that, whether the front or net/http has given the response.
func TestTheBeginningOfARequest(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.warm()
		for _, begun := range []string{"X", "GE", "GET", "GET ", "GET /"} {
			c := w.memory.dial()
			c.send([]byte(get("/a")))
			synctest.Wait()
			c.send([]byte(begun))
			synctest.Wait()
			c.end()
			synctest.Wait()
			text, closed := c.got()
			if refused := strings.Contains(text, "400 Bad Request"); refused != (len(begun) >= 4) || !closed {
				t.Errorf("%q: closed: %v, %q", begun, closed, text)
			}
		}
	})
}

// MaxHeaderBytes bounds heads as ever.
func TestMaxHeaderBytes(t *testing.T) {
	inBubble(t, func(srv *http.Server) { srv.MaxHeaderBytes = 500 }, func(t *testing.T, w *world) {
		w.warm()
		for _, size := range []int{100, 450, 4500, 6000} {
			heard := w.hear(talk{[]string{get("/a", "X: "+strings.Repeat("x", size))}, []bool{true}})
			if refused := strings.Contains(heard, "431 "); refused != (size > 4096+500) {
				t.Errorf("%d bytes: %.100s", size, heard)
			}
		}
	})
}

// A stale page is answered in front while it is renewed behind, once, through the app.
func TestStaleInFront(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		get := talk{[]string{get("/swr")}, []bool{true}}
		for range 3 {
			w.hear(get)
		}
		w.ran()
		for i := range 5 {
			time.Sleep(10 * time.Second)
			hits := 0
			if w.fronted {
				hits = w.hits()
			}
			heard := w.hear(get)
			if !strings.Contains(heard, "hit; ttl=-") || !strings.Contains(heard, "[runs]\nGET /swr") {
				t.Errorf("%d: %s", i, heard)
			}
			if w.fronted && w.hits() != hits+1 {
				t.Errorf("%d: it was not the front's", i)
			}
		}
	})
}

// What a soft invalidation has made stale goes out with max-age=0 in front, too.
func TestSoftlyInvalidatedInFront(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		get := func(path string) string { return w.hear(talk{[]string{get(path)}, []bool{true}}) }
		for range 4 {
			get("/lasting")
		}
		if heard := get("/lasting"); !strings.Contains(heard, "Cache-Control: max-age=3000") {
			t.Errorf("a hit: %s", heard)
		}
		get("/softly")
		if heard := get("/lasting"); !strings.Contains(heard, "Cache-Control: max-age=0") {
			t.Errorf("softly invalidated: %s", heard)
		}
	})
}

// ConnState gets the same states of a connection with a front as without.
func TestConnState(t *testing.T) {
	var mu sync.Mutex
	told := map[bool][]string{}
	now := false
	inBubble(t, func(srv *http.Server) {
		srv.ConnState = func(nc net.Conn, to http.ConnState) {
			mu.Lock()
			told[now] = append(told[now], to.String())
			mu.Unlock()
		}
	}, func(t *testing.T, w *world) {
		mu.Lock()
		now = w.fronted
		mu.Unlock()
		w.warm()
		for _, request := range []string{get("/a"), get("/nostore"), get("/a"), get("/hijack"),
			get("/a", "Connection: close")} {
			w.hear(talk{[]string{get("/a"), request, get("/a")}, []bool{true, true, true}})
		}
	})
	if len(told[true]) < 20 || !slices.Equal(told[true], told[false]) {
		t.Errorf("with a front: %v\nwithout: %v", told[true], told[false])
	}
}

// Once keep-alives are off, responses say so, and idle connections are closed.
func TestKeepAlivesOff(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.warm()
		c := w.memory.dial()
		c.send([]byte(get("/a")))
		synctest.Wait()
		w.srv.SetKeepAlivesEnabled(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if heard := w.hear(talk{[]string{get("/a")}, []bool{true}}); !strings.Contains(heard, "Connection: close") ||
			!strings.Contains(heard, "[closed: true]") {
			t.Errorf("with keep-alives off: %s", heard)
		}
		w.srv.SetKeepAlivesEnabled(true)
		hits := 0
		if w.fronted {
			hits = w.hits()
		}
		if heard := w.hear(talk{[]string{get("/a")}, []bool{true}}); strings.Contains(heard, "Connection: close") {
			t.Errorf("with keep-alives on: %s", heard)
		}
		if w.fronted && w.hits() != hits+1 {
			t.Error("with keep-alives on again: the front does nothing")
		}
	})
}

// A shutdown cuts no response, closes what is idle at once, and leaves nothing behind.
func TestShutdown(t *testing.T) {
	for range 5 {
		var hits atomic.Int64
		s := newSite(t, counted(&hits), middleware.Options{Log: slog.New(slog.DiscardHandler)}, func(s *site) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/", s.cache.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, longText) })))
			return mux
		})
		warm := s.dial()
		for range 4 {
			warm.do(get("/a"))
		}
		var group sync.WaitGroup
		var whole, cut atomic.Int64
		for range 16 {
			c := s.dial()
			group.Go(func() {
				for {
					if _, err := io.WriteString(c, get("/a")); err != nil {
						return
					}
					res, err := http.ReadResponse(c.rd, nil)
					if err != nil {
						return // before a response
					}
					if b, err := io.ReadAll(res.Body); err != nil || len(b) != len(longText) {
						cut.Add(1)
						return
					}
					whole.Add(1)
				}
			})
		}
		for whole.Load() < 100 {
			time.Sleep(time.Millisecond)
		}
		ctx, cancel := stdcontext.WithTimeout(background(), time.Minute)
		if err := s.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		group.Wait()
		if cut.Load() > 0 || hits.Load() < 50 {
			t.Errorf("%d responses were cut, %d whole, %d by the front", cut.Load(), whole.Load(), hits.Load())
		}
		s.front.mu.Lock()
		if n := len(s.front.conns); n > 0 {
			t.Errorf("%d connections are left", n)
		}
		s.front.mu.Unlock()
	}
}

// A shutdown waits for a hit whose client takes it slowly.
func TestShutdownDuringALongHit(t *testing.T) {
	const size = 12 << 20 // more than the kernels hold
	var hits atomic.Int64
	s := newSite(t, counted(&hits), middleware.Options{}, func(s *site) http.Handler {
		return s.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/short" {
				return
			}
			w.Header().Set("Cache-Control", "max-age=60")
			w.Write(make([]byte, size))
		}))
	})
	c := s.dial()
	for range 3 {
		c.do(get("/a"))
	}
	slow := s.dial()
	slow.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	slow.do(get("/short")) // net/http takes the connection for idle from now on
	before := hits.Load()
	io.WriteString(slow, get("/a"))
	for hits.Load() == before {
		time.Sleep(time.Millisecond)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.srv.Shutdown(background()) }()
	for !s.front.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	if _, body := slow.read("GET"); len(body) != size {
		t.Errorf("%d bytes of %d", len(body), size)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A client that takes nothing of a long page is cut off after StallTimeout.
func TestAClientThatStalls(t *testing.T) {
	var hits atomic.Int64
	s := newSite(t, counted(&hits), middleware.Options{StallTimeout: 200 * time.Millisecond}, func(s *site) http.Handler {
		return s.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Write(make([]byte, 15<<20))
		}))
	})
	c := s.dial()
	for range 3 {
		c.do(get("/a"))
	}
	if hits.Load() == 0 {
		t.Fatal("no hit in front")
	}
	slow := s.dial()
	slow.Conn.(*net.TCPConn).SetReadBuffer(4 << 10) // or the kernels take it all for the client
	io.WriteString(slow, get("/a"))
	for hits.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	for open := 2; open > 1; time.Sleep(10 * time.Millisecond) { // until it has been cut off
		s.front.mu.Lock()
		open = len(s.front.conns)
		s.front.mu.Unlock()
	}
	if held := s.cache.Stats(); held.Readers != 0 || held.ReadBytes != 0 {
		t.Errorf("what it has read counts still: %+v", held)
	}
}

// Over TLS hits are answered in front for HTTP/1.1, requests that pass have their TLS state, and
// HTTP/2 is net/http's.
func TestTLS(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	var hits atomic.Int64
	s := &site{t: t, runs: make(chan string, 100)}
	s.cache = middleware.New(memstore.New(8<<20), middleware.Options{Log: slog.New(slog.DiscardHandler)})
	states := make(chan *tls.ConnectionState, 100)
	mux := http.NewServeMux()
	mux.Handle("/", s.cache.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			states <- r.TLS
			io.WriteString(w, r.Proto)
		})))
	s.srv = &http.Server{Handler: s.cache.Root(mux), TLSConfig: &tls.Config{Certificates: cert.TLS.Certificates},
		ErrorLog: log.New(io.Discard, "", 0)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- counted(&hits).ServeTLS(s.srv, l, s.cache, "", "") }()
	for _, two := range []bool{false, true} {
		hits.Store(0)
		transport := cert.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.ServerName = "example.com"
		transport.ForceAttemptHTTP2 = two
		if !two {
			transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		client := &http.Client{Transport: transport}
		for i := range 6 {
			res, err := client.Get("https://" + s.addr + fmt.Sprint("/of", two))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if want := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[two]; string(b) != want || res.Proto != want {
				t.Errorf("HTTP/2: %v, %d: %q by %s", two, i, b, res.Proto)
			}
		}
		if state := <-states; state == nil || !state.HandshakeComplete {
			t.Errorf("HTTP/2: %v: the request's TLS is %v", two, state)
		}
		if want := map[bool]int64{true: 0, false: 4}[two]; hits.Load() != want {
			t.Errorf("HTTP/2: %v: %d hits in front, want %d", two, hits.Load(), want)
		}
		transport.CloseIdleConnections()
	}
	plain := s.dial()
	res, body := plain.do(get("/a"))
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "HTTPS server") {
		t.Errorf("without TLS: %s %q", res.Status, body)
	}
	silent := s.dial() // it never shakes hands
	ctx, cancel := stdcontext.WithTimeout(background(), 20*time.Second)
	defer cancel()
	if err := s.srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != http.ErrServerClosed {
		t.Error(err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("a client that does not shake hands: %v", err)
	}
}

// What a handler copies from a file goes out by the connection's own ReadFrom.
func TestReadFrom(t *testing.T) {
	client, raw := net.Pipe()
	defer client.Close()
	from := &readsFrom{Conn: raw}
	s := &server{conns: map[*conn]struct{}{}}
	nc := s.newConn(from)
	if _, err := nc.(io.ReaderFrom).ReadFrom(strings.NewReader("x")); err != nil || from.n != 1 {
		t.Errorf("%d, %v", from.n, err)
	}
	if _, ok := s.newConn(raw).(io.ReaderFrom); ok {
		t.Error("a connection without ReadFrom has one")
	}
}

type readsFrom struct {
	net.Conn
	n int64
}

func (r *readsFrom) ReadFrom(src io.Reader) (n int64, err error) {
	r.n, err = io.Copy(io.Discard, src)
	return r.n, err
}

// A server that takes HTTP/2 without TLS looks at the first bytes of a connection itself: it is
// net/http's alone, and answers as ever.
func TestHTTP2WithoutTLSIsLeftAlone(t *testing.T) {
	var hits atomic.Int64
	pages := memstore.New(1 << 20)
	defer pages.Close()
	cache := middleware.New(pages, middleware.Options{})
	srv := &http.Server{Protocols: new(http.Protocols), Handler: cache.Root(
		cache.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the page") })))}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- counted(&hits).Serve(srv, l, cache) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 5 {
		res, err := client.Get("http://" + l.Addr().String() + "/a")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || string(body) != "the page" {
			t.Fatalf("%s %q, %v", res.Status, body, err)
		}
	}
	if n := hits.Load(); n > 0 {
		t.Errorf("%d hits in front", n)
	}
	srv.Close()
	if err := <-ended; err != http.ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
}
