package middleware

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/stall"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// pipes is a listener whose connections hold nothing on the way: a client that does not read is
// waited for at once.
type pipes struct{ conns chan net.Conn }

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l pipes) Close() error { return nil }

func (l pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// pipeServer serves h on pipes.
func pipeServer(h http.Handler, server *http.Server) (connect func() net.Conn, stop func()) {
	l := pipes{make(chan net.Conn)}
	server.Handler = h
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	connect = func() net.Conn {
		client, server := net.Pipe()
		l.conns <- server
		return client
	}
	return connect, func() {
		close(l.conns)
		<-served
		server.Close()
	}
}

// A client that takes nothing for a minute is cut off, whatever it gets: a hit, parts of one, a
// stream that it leads or reads along with, a response that is for it alone. One that takes a
// little now and then is not, and its connection is as good as before. No deadline of the server's
// is put off.
func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	const size = 1 << 20
	for _, s := range []struct {
		name, method, path, fields string
		says                       string
	}{
		{"a hit", "GET", "/stored", "", "hit"},
		{"a part of a hit", "GET", "/stored", "Range: bytes=1-\r\n", "hit"},
		{"parts of a hit", "GET", "/stored", "Range: bytes=1-500000,500010-900000\r\n", "hit"},
		{"a stream", "GET", "/new", "", "stored"},
		{"a response for it alone", "GET", "/private", "", "detail=private"},
		{"a response for it alone, by ReadFrom", "GET", "/copied", "", "detail=private"},
		{"a pass", "POST", "/copied", "", "fwd=method"},
		{"a pass in pieces", "POST", "/private", "", "fwd=method"},
	} {
		for _, c := range []struct {
			name            string
			stall, deadline time.Duration
			pause           time.Duration // between 20 KiB that the client takes
			after           time.Duration // ... it is cut off; 0: never
		}{
			{"takes nothing", 0, 0, time.Hour, time.Minute},
			{"takes a little", 0, 0, 15 * time.Second, 0},
			{"takes nothing, of a server with a deadline", 0, 20 * time.Second, time.Hour,
				20 * time.Second},
			{"takes a little every two minutes, for ever", -1, 0, 2 * time.Minute, 0},
		} {
			t.Run(s.name+", "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cache := boundedCache(t, 64<<20, Options{StallTimeout: c.stall})
					var running atomic.Int64
					ended := make(chan time.Time, 10)
					inner := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter,
						r *http.Request) {
						says := "max-age=6000000"
						if r.URL.Path == "/private" || r.URL.Path == "/copied" {
							says = "private"
						}
						w.Header().Set("Cache-Control", says)
						w.Header().Set("Content-Length", fmt.Sprint(size))
						if r.URL.Path == "/copied" {
							io.Copy(w, io.LimitReader(zeros{}, size))
							return
						}
						for range size / (16 << 10) {
							w.Write(make([]byte, 16<<10))
						}
					}))
					h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						running.Add(1)
						defer func() { running.Add(-1); ended <- time.Now() }()
						defer func() {
							if got := w.Header().Get("Cache-Status"); r.URL.Path == s.path && !strings.Contains(got, s.says) {
								t.Errorf("Cache-Status is %q, want it to contain %q", got, s.says)
							}
						}()
						inner.ServeHTTP(w, r)
					})
					inner.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/stored",
						nil))
					connect, stop := pipeServer(h, &http.Server{WriteTimeout: c.deadline})
					conn := connect()
					start := time.Now()
					fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: example.com\r\n%s\r\n", s.method,
						s.path, s.fields)
					if c.after > 0 {
						select {
						case at := <-ended:
							want(t, "cut off after", at.Sub(start), c.after)
						case <-time.After(time.Hour):
							t.Error("it is never cut off")
						}
						conn.Close()
						stop()
						return
					}
					slow := bufio.NewReaderSize(slowly{conn, c.pause}, 20<<10)
					res, err := http.ReadResponse(slow, nil)
					if err != nil {
						t.Fatal(err)
					}
					n, err := io.Copy(io.Discard, res.Body)
					if n < size/2 || err != nil {
						t.Errorf("%d bytes and %v", n, err)
					}
					time.Sleep(5 * time.Minute)
					// on the same connection
					fmt.Fprint(conn, "GET /stored HTTP/1.1\r\nHost: example.com\r\n\r\n")
					res, err = http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil {
						t.Fatal(err)
					}
					n, err = io.Copy(io.Discard, res.Body)
					want(t, "then", n, size)
					want(t, "then", err, nil)
					conn.Close()
					stop()
					synctest.Wait()
					want(t, "running", running.Load(), 0)
				})
			})
		}
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// slowly takes a pause before each read.
type slowly struct {
	net.Conn
	pause time.Duration
}

func (c slowly) Read(p []byte) (int, error) {
	time.Sleep(c.pause)
	return c.Conn.Read(p)
}

// Clients that stall on long hits hold no more than the bound besides what the store has, however
// many pages they ask for: they are cut off when room is needed, and until they have gone handlers
// answer.
func TestStalledReadersOfHitsAreCounted(t *testing.T) {
	for _, deaf := range []bool{false, true} { // a client that cannot be cut off
		t.Run(fmt.Sprint("deaf=", deaf), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size, pages, bound = 1 << 20, 40, 8 << 20
				s := memstore.New(6 << 20)
				defer s.Close()
				c := New(s, Options{MaxReadBytes: bound, StallTimeout: -1})
				var runs atomic.Int64
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					runs.Add(1)
					w.Header().Set("Cache-Control", "max-age=600000")
					w.Write(make([]byte, size))
				}))
				ask := func(w http.ResponseWriter, i int) {
					h.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprint("/", i), nil))
				}
				until := make(chan struct{})
				var all sync.WaitGroup
				cut := atomic.Int64{}
				crowded := 0
				for i := range pages {
					ask(httptest.NewRecorder(), i)
					before := runs.Load()
					w := &stopped{ResponseRecorder: httptest.NewRecorder(), until: until,
						deaf: deaf, cut: make(chan struct{})}
					all.Go(func() {
						defer func() {
							recover() // of a stream that was cut off
							if w.wasCut() {
								cut.Add(1)
							}
						}()
						ask(w, i)
					})
					synctest.Wait()
					if runs.Load() > before {
						crowded++
					}
					time.Sleep(10 * time.Second)
					used := c.fills.Pins.Audit()
					// What was in the store when it was last looked at may have left it.
					if used > bound+6<<20 {
						t.Fatalf("%d pages: clients hold %d bytes besides the store's", i+1, used)
					}
				}
				if !deaf && cut.Load() == 0 {
					t.Error("nobody was cut off")
				}
				if deaf && crowded == 0 {
					t.Error("no handler answered in the place of what could not be held")
				}
				w := httptest.NewRecorder()
				ask(w, pages-1)
				want(t, "another's body", w.Body.Len(), size)
				close(until)
				all.Wait()
				want(t, "what is held in the end", c.fills.Pins.Used(), 0)
				want(t, "bodies", c.fills.Pins.Len(), 0)
				if err := c.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// stopped is a client that takes nothing until then, or until its deadline is over.
type stopped struct {
	*httptest.ResponseRecorder
	until chan struct{}
	deaf  bool
	once  sync.Once
	cut   chan struct{}
}

func (w *stopped) Write(p []byte) (int, error) {
	select {
	case <-w.until:
		return w.ResponseRecorder.Write(p)
	case <-w.cut:
		return 0, fill.ErrCut
	}
}

func (w *stopped) SetWriteDeadline(time.Time) error {
	if w.deaf {
		return http.ErrNotSupported
	}
	w.once.Do(func() { close(w.cut) })
	return nil
}

func (w *stopped) wasCut() bool {
	select {
	case <-w.cut:
		return true
	default:
		return false
	}
}

// One body counts once, however many read it, and not at all while the store has it and room is
// needed.
func TestABodyCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1 << 20
		s := memstore.New(64 << 20)
		defer s.Close()
		c := New(s, Options{MaxReadBytes: size * 3 / 2})
		o := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600000")
			w.Write(make([]byte, size))
		}))
		until := make(chan struct{})
		var all sync.WaitGroup
		for _, path := range []string{"/a", "/b", "/c"} {
			o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
			for range 10 {
				w := &stopped{ResponseRecorder: httptest.NewRecorder(), until: until,
					cut: make(chan struct{})}
				all.Go(func() {
					o.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
					if w.wasCut() || w.Body.Len() != size ||
						!strings.Contains(w.Header().Get("Cache-Status"), "hit") {
						t.Errorf("%s: cut off %v, %d bytes, %s", path, w.wasCut(), w.Body.Len(),
							w.Header().Get("Cache-Status"))
					}
				})
				synctest.Wait()
				if c.fills.Pins.Used() > size {
					t.Errorf("%d bytes are counted", c.fills.Pins.Used())
				}
			}
			time.Sleep(time.Second)
		}
		want(t, "bodies", c.fills.Pins.Len(), 3)
		close(until)
		all.Wait()
		want(t, "what is held in the end", c.fills.Pins.Used(), 0)
	})
}

// Room that a body took which the store has by now is there for the next.
func TestABodyThatIsStoredLeavesItsRoom(t *testing.T) {
	const size = 1 << 10
	c := boundedCache(t, 1<<20, Options{MaxReadBytes: size}) // for just one, besides what is stored
	if err := c.store.Set(t.Context(), "k", &store.Entry{Key: "k", Status: 200, Body: make([]byte,
		size)}, time.Hour); err != nil {
		t.Fatal(err)
	}
	e, err := c.store.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	stored := c.fills.Pins.Hold("k", e.Body, nil)
	other := c.fills.Pins.Hold("other", make([]byte, size), nil)
	if stored == nil || other == nil {
		t.Fatalf("room for what is stored: %v, and for another: %v", stored != nil, other != nil)
	}
	if third := c.fills.Pins.Hold("third", make([]byte, size), nil); third != nil {
		t.Error("there is room for more than the bound")
	}
	c.fills.Pins.Release(stored)
	c.fills.Pins.Release(other)
	want(t, "what is held in the end", c.fills.Pins.Used(), 0)
}

// Pages that are long stored, and whose first clients still read them, leave room for others to be
// stored.
func TestReadersOfStoredPagesLeaveRoomForFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, pages = 1 << 20, 16
		c := boundedCache(t, pages*size)
		h := c.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			for range size / (16 << 10) {
				w.Write(make([]byte, 16<<10))
			}
		}))
		until := make(chan struct{})
		var all sync.WaitGroup
		for i := range pages + 1 {
			w := &stopped{ResponseRecorder: httptest.NewRecorder(), until: until,
				cut: make(chan struct{})}
			all.Go(func() {
				h.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprint("/", i), nil))
				want(t, "body", w.Body.Len(), size)
			})
			synctest.Wait()
		}
		want(t, "granted to fills", c.fills.Budget.Used(), 0)
		want(t, "stored", c.store.(*memstore.Store).Len(), pages+1)
		if c.fills.Pins.Used() < pages*size {
			t.Errorf("clients hold %d bytes, and %d are counted", pages*size, c.fills.Pins.Used())
		}
		close(until)
		all.Wait()
		want(t, "what is held in the end", c.fills.Pins.Used(), 0)
		idle(t, c)
	})
}

// A client holds a long body whichever part of it it asked for, so it is cut off likewise.
func TestAClientThatTakesNothingOfASmallPartIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := boundedCache(t, 64<<20)
		inner := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=6000000")
			w.Write(make([]byte, 1<<20))
		}))
		ended := make(chan time.Time, 10)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { ended <- time.Now() }()
			inner.ServeHTTP(w, r)
		})
		inner.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/stored", nil))
		connect, stop := pipeServer(h, &http.Server{})
		conn := connect()
		start := time.Now()
		fmt.Fprintf(conn, "GET /stored HTTP/1.1\r\nHost: example.com\r\nRange: "+
			"bytes=0-60000\r\n\r\n")
		select {
		case at := <-ended:
			want(t, "cut off after", at.Sub(start), time.Minute)
		case <-time.After(time.Hour):
			t.Error("it reads for ever")
		}
		conn.Close()
		stop()
	})
}

// A page that became empty is no body that anybody reads, whatever was read of the one before.
func TestAnEmptyPageIsNobodysBody(t *testing.T) {
	c := boundedCache(t, 1<<20, Options{MaxReadBytes: 1 << 10})
	p := c.fills.Pins.Hold("k", make([]byte, 1<<10), nil)
	if err := c.store.Set(t.Context(), "k", &store.Entry{Key: "k", Status: 200}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if other := c.fills.Pins.Hold("other", make([]byte, 1<<10), nil); other != nil {
		t.Error("there is room for more than the bound")
	}
	c.fills.Pins.Release(p)
	want(t, "what is held in the end", c.fills.Pins.Used(), 0)
}

// A client is watched from when more was written than net/http holds, once.
func TestFromWhenAClientIsWatched(t *testing.T) {
	c := boundedCache(t, 1<<20)
	w := &stopped{ResponseRecorder: httptest.NewRecorder(), cut: make(chan struct{})}
	var clients watched
	want(t, "watched from the start", clients.watch(c, w, stall.ServerBuffer) == nil, true)
	first := clients.watch(c, w, 1)
	want(t, "watched then", first != nil, true)
	want(t, "by one watch", clients.watch(c, w, 1), first)
}
