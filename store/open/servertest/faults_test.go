package servertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

func TestMain(m *testing.M) {
	if os.Getenv(cachekitApp) != "" {
		serveCachekit()
		return
	}
	if testserver.IsApp() {
		if err := serveGoneApp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if url := os.Getenv(childURL); url != "" {
		child(url)
		return
	}
	testserver.Main(m)
}

// app is an app with a cache over a store on a server behind a proxy that spoils what passes
// through.
type app struct {
	keys   keys
	t      *testing.T
	server *testserver.Server
	proxy  *testserver.FaultProxy
	store  *open.Store
	h      http.Handler
	runs   atomic.Int64
	log    logged
	stop   func() // ends the cache and closes the store

	padding atomic.Int64     // how much longer pages are
	changed map[string]int64 // by path: the newest run of before it was invalidated
}

// guardTimeout is what each call to the server may cost; budget, what a request may, with room for
// a machine that is busy with other tests. P7's test in package middleware holds a request to the
// sum of its calls, in virtual time.
const (
	guardTimeout = 250 * time.Millisecond
	budget       = 5 * time.Second
)

// keys knows the key that was stored last.
type keys struct {
	store.Store
	last atomic.Value
}

func (k *keys) Unwrap() any { return k.Store }

func (k *keys) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	k.last.Store(key)
	return k.Store.Set(ctx, key, e, ttl)
}

func newApp(t *testing.T, server *testserver.Server) *app {
	a := &app{t: t, server: server}
	url := server.URL
	if server.Addr != "" {
		a.proxy = testserver.Proxy(t, a.server.Addr)
		url = strings.Replace(url, server.Addr, a.proxy.Addr, 1)
	}
	a.open(url, fmt.Sprintf("near=0&prefix=test-%d:", prefixes.Add(1)))
	return a
}

func (a *app) open(rawURL, options string) {
	a.t.Helper()
	migrated(a.t, a.server.URL)
	a.serve(rawURL, options)
}

// serve opens the store and mounts the app.
func (a *app) serve(rawURL, options string) {
	a.t.Helper()
	join := "?"
	if strings.Contains(rawURL, "?") {
		join = "&"
	}
	s, err := open.URL(a.t.Context(), rawURL+join+"guard_retry=100ms&guard_timeout="+
		guardTimeout.String()+
		"&"+options, open.Options{
		Log: slog.New(slog.NewTextHandler(&a.log, nil)),
	})
	if err != nil {
		a.t.Fatal(err)
	}
	a.store = s
	a.keys.Store = s
	c := middleware.New(&a.keys, middleware.Options{
		Log:          slog.New(slog.NewTextHandler(&a.log, nil)),
		StoreTimeout: guardTimeout,
		MaxLag:       time.Hour, // the journal has a test of its own; here the store is to be asked
	})
	a.h = c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprintf(w, "run %d %*s of %s", a.runs.Add(1), a.padding.Load(), "", r.URL.Path)
	}))
	a.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			a.t.Error(err)
		}
		s.Close()
	})
	a.t.Cleanup(a.stop)
}

// migrated creates what the server's kind needs, past the proxy.
func migrated(t *testing.T, rawURL string) {
	t.Helper()
	b, _, closeIt, err := open.Backend(rawURL, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt()
	if _, err := store.Migrate(t.Context(), b, false); err != nil {
		t.Fatal(err)
	}
}

// prefixes counts tests, which share servers.
var prefixes atomic.Int64

// ask asks for a path and checks that the answer is the handler's, whole, in time, and not of
// before it was invalidated.
func (a *app) ask(path string) (status string) {
	a.t.Helper()
	w := httptest.NewRecorder()
	start := time.Now()
	a.h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if took := time.Since(start); took > budget {
		a.t.Errorf("%s: took %v, the budget is %v", path, took, budget)
	}
	status, run := w.Header().Get("Cache-Status"), int64(0)
	body := w.Body.String()
	if _, err := fmt.Sscanf(body, "run %d ", &run); err != nil || w.Code != 200 ||
		!strings.HasSuffix(body, " of "+path) {
		a.t.Errorf("%s: status %d, body %.100q: not the handler's answer", path, w.Code, body)
	}
	if run <= a.changed[path] {
		a.t.Errorf("%s: run %d, and run %d has invalidated it; outcome %q", path, run,
			a.changed[path], status)
	}
	return status
}

// change changes a path by a POST, which invalidates it.
func (a *app) change(path string) {
	a.t.Helper()
	a.h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", path, nil))
	if a.changed == nil {
		a.changed = make(map[string]int64)
	}
	a.changed[path] = a.runs.Load()
}

// asks repeats a question until the outcome contains what is wanted, as it must before long.
func (a *app) asks(path, contains string) {
	a.t.Helper()
	deadline := time.Now().Add(time.Minute)
	status := ""
	for time.Now().Before(deadline) {
		if status = a.ask(path); strings.Contains(status, contains) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	a.t.Errorf("%s: the outcome is %q, and never contained %q", path, status, contains)
}

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestFaults is the table of what may happen to a server. In each case requests are answered by the
// handler within the budget, the outcome says what happened, what was invalidated is not served,
// the log does not have a line for each request, and when the server is well again, hits come back.
// Nothing is left behind.
func TestFaults(t *testing.T) {
	for _, k := range tableKinds {
		t.Run(k.name, func(t *testing.T) {
			server := k.start(t)
			if server.Addr != "" {
				for _, f := range faults {
					t.Run(f.story, func(t *testing.T) { f.run(t, server) })
				}
			}
			for _, r := range k.refusals {
				f := fault{story: r.story, reads: true, begin: func(a *app) (end func()) {
					return r.begin(a.t, a.server)
				}}
				t.Run(r.story, func(t *testing.T) { f.run(t, server) })
			}
		})
	}
}

type fault struct {
	story string
	// begin makes the server fail and returns what makes it well again.
	begin func(a *app) (end func())
	// reads says whether what was stored before can be read while the fault lasts.
	reads bool
}

var faults = []fault{
	{story: "killed and restarted", begin: func(a *app) func() {
		a.server.Kill()
		return a.server.Start
	}},
	{story: "stopped: takes connections and does not answer", begin: func(a *app) func() {
		a.server.Pause()
		return a.server.Resume
	}},
	{story: "unreachable", begin: func(a *app) func() {
		a.proxy.Refuse()
		return a.proxy.Pass
	}},
	{story: "silent network", begin: func(a *app) func() {
		a.proxy.Hang()
		return a.proxy.Pass
	}},
	{story: "takes connections and reads nothing", begin: func(a *app) func() {
		a.padding.Store(4 << 20) // more than buffers take, so that writes wait as well
		a.proxy.Swallow()
		return func() {
			a.padding.Store(0)
			a.proxy.Pass()
		}
	}},
	{story: "a byte a second", begin: func(a *app) func() {
		a.proxy.Trickle(1)
		return a.proxy.Pass
	}},
	{story: "reset in the middle of a reply", begin: func(a *app) func() {
		a.proxy.CutAfter(3)
		return a.proxy.Pass
	}},
	{story: "garbage in place of replies", begin: func(a *app) func() {
		a.proxy.Alter(func(reply []byte) []byte {
			return bytes.Repeat([]byte("\x00\xffgarbage\r\n"), 1+len(reply)/10)
		})
		return func() { a.proxy.Pass(); a.proxy.Drop() }
	}},
}

func (f fault) run(t *testing.T, server *testserver.Server) {
	a := newApp(t, server)
	a.asks("/before", "hit")
	end := f.begin(a)
	if f.reads {
		a.asks("/before", "hit")
	} else {
		a.asks("/before", "store-error")
	}
	requests := 100
	if a.padding.Load() > 0 {
		requests = 20
	}
	runs := a.runs.Load()
	silent := 0
	for i := range requests {
		if status := a.ask(fmt.Sprint("/during/", i)); !strings.Contains(status, "store-error") {
			silent++
		}
	}
	if !f.reads && silent > 0 {
		t.Errorf("%d of %d outcomes say nothing of the server that fails", silent, requests)
	}
	if ran := a.runs.Load() - runs; ran != int64(requests) {
		t.Errorf("the handler ran %d times for %d new pages", ran, requests)
	}
	if status := a.ask("/during/0"); strings.Contains(status, "hit") {
		t.Errorf("the server that fails has stored a page: %q", status)
	}
	a.change("/before")
	a.ask("/before")
	if lines := strings.Count(a.log.String(), "\n"); lines > 10 {
		t.Errorf("%d lines in the log for %d requests:\n%.2000s", lines, requests, a.log.String())
	}
	if strings.Contains(a.log.String(), "run 1 ") {
		t.Error("the log shows a value")
	}
	end()
	// an answer that came too late may have been "stored", so that is not asked for
	a.asks("/after", "hit")
	a.asks("/before", "hit")
	a.stop()
	a.leavesNothing()
}

// leavesNothing fails for connections and temporary files that are there when the store is closed.
// Goroutines are counted when all tests have ended.
func (a *app) leavesNothing() {
	a.t.Helper()
	if a.proxy == nil {
		if left := temporaries(a.t, a.server.Dir); len(left) > 0 {
			a.t.Errorf("files that are left behind: %q", left)
		}
		return
	}
	for end := time.Now().Add(10 * time.Second); a.proxy.Connections() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("%d connections are left behind", a.proxy.Connections())
		}
	}
}

// What is stored under our key and is not ours, or not whole, is a miss, and is put right.
func TestSpoiledValues(t *testing.T) {
	for _, k := range oneProcess {
		t.Run(k.name, func(t *testing.T) {
			a := newApp(t, k.start(t))
			a.asks("/page", "hit")
			key := store.Options{Prefix: a.store.Prefix}.BackendKey(a.keys.last.Load().(string))
			for story, spoil := range map[string]func(value []byte) []byte{
				"cut short":     func(v []byte) []byte { return v[:len(v)/2] },
				"a flipped bit": func(v []byte) []byte { v[len(v)/2] ^= 4; return v },
				"another program's": func([]byte) []byte {
					return []byte(`{"name": "another program"}`)
				},
				"nothing": func([]byte) []byte { return nil },
			} {
				a.asks("/page", "hit")
				value, err := a.store.Backend.Get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if err := a.store.Backend.Set(t.Context(), key, spoil(bytes.Clone(value)),
					time.Hour); err != nil {
					t.Fatal(err)
				}
				runs := a.runs.Load()
				if status := a.ask("/page"); strings.Contains(status, "hit") ||
					a.runs.Load() != runs+1 {
					t.Errorf("%s: outcome %q, and the handler ran %d times", story, status,
						a.runs.Load()-runs)
				}
			}
			a.asks("/page", "hit")
		})
	}
}

// An invalidation while the server is away holds, and holds when the server is back with what it
// had.
func TestInvalidatedWhileTheServerWasAway(t *testing.T) {
	for _, k := range oneProcess {
		t.Run(k.name, func(t *testing.T) {
			a := newApp(t, k.start(t))
			a.asks("/page", "hit")
			a.proxy.Refuse()
			w := httptest.NewRecorder()
			a.h.ServeHTTP(w, httptest.NewRequest("POST", "/page", nil))
			runs := a.runs.Load()
			a.proxy.Pass()
			a.asks("/page", "hit")
			if a.runs.Load() == runs {
				t.Error("a hit of what was stored before the POST")
			}
		})
	}
}

// Two processes with one server: each hits what the other stored, and neither what the other
// changed.
func TestTwoProcessesShare(t *testing.T) {
	for _, k := range serverKinds {
		t.Run(k.name, func(t *testing.T) {
			a := newApp(t, k.start(t))
			b := &app{t: t, server: a.server, proxy: a.proxy}
			b.open(a.server.URL, "near=1MiB&prefix="+a.store.Prefix)
			a.asks("/page", "hit")
			if status := b.ask("/page"); !strings.Contains(status, "hit") || b.runs.Load() > 0 {
				t.Errorf("the other process: %q, and %d runs", status, b.runs.Load())
			}
			a.h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/page", nil))
			began := time.Now()
			for runs := a.runs.Load(); b.runs.Load() == 0 && a.runs.Load() == runs; {
				b.ask("/page")
				if time.Since(began) > 5*time.Second {
					t.Fatal("the other process still serves what was invalidated five seconds ago")
				}
				time.Sleep(time.Millisecond)
			}
			t.Logf("the other process knew after %v", time.Since(began))
			a.asks("/page", "hit")
		})
	}
}

// What is wrong at the start is said in one sentence, without a password; a server that is away may
// be started without by choice.
func TestUnreachableAtTheStart(t *testing.T) {
	for _, rawURL := range []string{
		"redis://u:secret@127.0.0.1:1/0", "postgres://u:secret@127.0.0.1:1/db",
		"memcached://127.0.0.1:1",
		"file:///dev/null/folder",
	} {
		_, err := open.URL(t.Context(), rawURL+"?dial_timeout=1s", open.Options{})
		if strings.HasPrefix(rawURL, "file:") {
			_, err = open.URL(t.Context(), rawURL, open.Options{})
		}
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(),
			"\n") {
			t.Errorf("%s: error %q, want one line without a password", rawURL, err)
		}
		t.Log(err)
		if strings.HasPrefix(rawURL, "file:") {
			continue
		}
		s, err := open.URL(t.Context(), rawURL+"?start=anyway",
			open.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Errorf("%s, started anyway: %v", rawURL, err)
			continue
		}
		c := middleware.New(s, middleware.Options{Log: slog.New(slog.DiscardHandler)})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "the handler's")
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Body.String() != "the handler's" {
			t.Errorf("%s: %q", rawURL, w.Body)
		}
		if _, err := s.Health(t.Context()); err == nil {
			t.Errorf("%s: health says that all is well", rawURL)
		}
		c.Shutdown(context.Background())
		s.Close()
	}
}
