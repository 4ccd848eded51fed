package dynamostore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	storeopen "github.com/freshet-go/freshet/store/open"
)

// guardTimeout is what each call to the server may cost; budget, what a request may that makes two
// of them: with room for a machine that is busy with other tests.
const (
	guardTimeout = 150 * time.Millisecond
	budget       = 2*guardTimeout + 3*time.Second
)

// credentialed lets drivers that are opened by URL find credentials.
func credentialed(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "ID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
}

// app is an app with a cache over a table on a server behind a proxy, which can lead to a front.
type app struct {
	t      *testing.T
	server *testserver.Server
	front  *front
	proxy  *testserver.FaultProxy
	store  *storeopen.Store
	h      http.Handler
	runs   atomic.Int64
	log    logged
}

func newApp(t *testing.T, server *testserver.Server, options string) *app {
	t.Helper()
	a := &app{t: t, server: server, front: before(t, server.Addr)}
	a.proxy = testserver.Proxy(t, server.Addr)
	table := fmt.Sprint("faults-", tables.Add(1))
	open(t, Config{Region: region, Table: table, Endpoint: "http://" + server.Addr,
		Credentials: anybody, Timeout: time.Minute})
	s, err := storeopen.URL(t.Context(), fmt.Sprintf("dynamodb://us-east-1/%s?endpoint=http://%s&near=0&"+
		"guard_retry=100ms&guard_timeout=%v%s", table, a.proxy.Addr, guardTimeout, options),
		storeopen.Options{Log: slog.New(slog.NewTextHandler(&a.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	a.store = s
	c := middleware.New(s, middleware.Options{
		Log:          slog.New(slog.NewTextHandler(&a.log, nil)),
		StoreTimeout: guardTimeout,
		MaxLag:       time.Hour, // the journal has tests of its own; here the store is to be asked
	})
	a.h = c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprintf(w, "run %d of %s", a.runs.Add(1), r.URL.Path)
	}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return a
}

// ask asks for a path and checks that the answer is the handler's, whole, in time.
func (a *app) ask(path string) (status string) {
	a.t.Helper()
	w := httptest.NewRecorder()
	start := time.Now()
	a.h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if took := time.Since(start); took > budget {
		a.t.Errorf("%s: took %v, the budget is %v", path, took, budget)
	}
	if body := w.Body.String(); w.Code != 200 || !strings.HasPrefix(body, "run ") ||
		!strings.HasSuffix(body, " of "+path) {
		a.t.Errorf("%s: status %d, body %q: not the handler's answer", path, w.Code, body)
	}
	return w.Header().Get("Cache-Status")
}

// asks repeats a question until the outcome contains what is wanted, as it must before long.
func (a *app) asks(path, contains string) {
	a.t.Helper()
	status := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if status = a.ask(path); strings.Contains(status, contains) {
			return
		}
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

// refuse has the front refuse the operations.
func (a *app) refuse(status int, code string, operations ...string) func() {
	a.front.set(func(op string, _ []byte, _ func() answer) (answer, bool) {
		for _, o := range operations {
			if o == op || o == "*" {
				return refusal(status, code), true
			}
		}
		return answer{}, false
	})
	a.proxy.To(strings.TrimPrefix(a.front.url, "http://"))
	return func() { a.proxy.To(a.server.Addr) }
}

// outage is what may happen to the server. begin makes it fail and returns what makes it well
// again; reads says whether what was stored before can be read meanwhile.
type outage struct {
	story string
	begin func(a *app) (end func())
	reads bool
}

var outages = []outage{
	{story: "killed and restarted", begin: func(a *app) func() {
		a.server.Kill()
		return a.server.Start
	}},
	{story: "stopped: takes connections and does not answer", begin: func(a *app) func() {
		a.server.Pause()
		return a.server.Resume
	}},
	{story: "unreachable", begin: func(a *app) func() { a.proxy.Refuse(); return a.proxy.Pass }},
	{story: "silent network", begin: func(a *app) func() { a.proxy.Hang(); return a.proxy.Pass }},
	{story: "packets are lost", begin: func(a *app) func() { a.proxy.Swallow(); return a.proxy.Pass }},
	{story: "a byte a second", begin: func(a *app) func() { a.proxy.Trickle(1); return a.proxy.Pass }},
	{story: "reset in the middle of a reply", begin: func(a *app) func() {
		a.proxy.CutAfter(30)
		return a.proxy.Pass
	}},
	{story: "garbage in place of replies", begin: func(a *app) func() {
		a.proxy.Alter(func(reply []byte) []byte {
			return bytes.Repeat([]byte("\x00\xffgarbage\r\n"), 1+len(reply)/10)
		})
		return func() { a.proxy.Pass(); a.proxy.Drop() }
	}},
	{story: "throttled", begin: func(a *app) func() {
		return a.refuse(400, "ProvisionedThroughputExceededException", "*")
	}},
	{story: "its own fault", begin: func(a *app) func() { return a.refuse(500, "InternalServerError", "*") }},
	{story: "writes are throttled", reads: true, begin: func(a *app) func() {
		return a.refuse(400, "ThrottlingException", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
	}},
	{story: "read-only", reads: true, begin: func(a *app) func() {
		return a.refuse(400, "AccessDeniedException", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
	}},
	{story: "credentials have expired", begin: func(a *app) func() {
		return a.refuse(400, "ExpiredTokenException", "*")
	}},
}

// TestFaults is the table of what may happen to a server. In each case requests are answered by the
// handler within the budget, the outcome says what happened, the log does not have a line for each
// request, and when the server is well again, hits come back.
func TestFaults(t *testing.T) {
	credentialed(t)
	server := testserver.DynamoDB(t)
	for _, f := range outages {
		t.Run(f.story, func(t *testing.T) { f.run(t, server) })
	}
}

func (f outage) run(t *testing.T, server *testserver.Server) {
	a := newApp(t, server, "")
	a.asks("/before", "hit")
	end := f.begin(a)
	if f.reads {
		a.asks("/before", "hit")
	} else {
		a.asks("/before", "store-error")
	}
	const requests = 50
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
	if ran := a.runs.Load() - runs; ran != requests {
		t.Errorf("the handler ran %d times for %d new pages", ran, requests)
	}
	if lines := strings.Count(a.log.String(), "\n"); lines > 10 {
		t.Errorf("%d lines in the log for %d requests:\n%.2000s", lines, requests, a.log.String())
	}
	for _, hidden := range []string{"run 1 of", "secret"} {
		if strings.Contains(a.log.String(), hidden) {
			t.Errorf("the log shows %q", hidden)
		}
	}
	end()
	a.asks("/after", "hit") // an answer that came too late may have been "stored": not asked for
}

// Two processes with one table: each hits what the other stored, and neither what the other
// changed; of those that want a cold page at once, one runs the handler.
func TestTwoProcessesShare(t *testing.T) {
	credentialed(t)
	server := testserver.SharedDynamoDB(t)
	table := fmt.Sprint("two-", tables.Add(1))
	url := fmt.Sprintf("dynamodb://us-east-1/%s?endpoint=http://%s&near=1MiB&timeout=1m&dial_timeout=1m&"+
		"guard_timeout=1m&guard_set_timeout=1m&guard_failures=0", table, server.Addr)
	open(t, Config{Region: region, Table: table, Endpoint: "http://" + server.Addr,
		Credentials: anybody, Timeout: time.Minute})
	var runs atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if runs.Add(1); r.Method == http.MethodPost {
			return
		}
		time.Sleep(300 * time.Millisecond)
		fmt.Fprint(w, "run ", runs.Load(), " of ", r.URL.Path)
	})
	var handlers []http.Handler
	for range 3 {
		s, err := storeopen.URL(t.Context(), url, storeopen.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if s.Kind != "dynamodb" || s.Journal() == nil {
			t.Errorf("kind %q, journal %v", s.Kind, s.Journal())
		}
		c := middleware.New(s, middleware.Options{StoreTimeout: time.Minute, Log: slog.New(slog.DiscardHandler)})
		t.Cleanup(func() {
			if err := c.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			s.Close()
		})
		handlers = append(handlers, c.With(policy.Policy{TTL: time.Hour, MaxWait: time.Minute})(handler))
	}
	all := func(want string) {
		t.Helper()
		var asking sync.WaitGroup
		for _, h := range handlers {
			for range 10 {
				asking.Go(func() {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequest("GET", "http://a.example/page", nil))
					if got := w.Body.String(); got != want {
						t.Errorf("a client got %q; want %q", got, want)
					}
				})
			}
		}
		asking.Wait()
	}
	all("run 1 of /page")
	handlers[1].ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "http://a.example/page", nil))
	// A process that has not heard of the POST may still run the handler for itself.
	last := "run 1 of /page"
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		bodies := make(map[string]bool)
		for _, h := range handlers {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "http://a.example/page", nil))
			last = w.Body.String()
			bodies[last] = true
		}
		if len(bodies) == 1 && last != "run 1 of /page" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("long after the POST: %v", bodies)
		}
	}
	all(last)
}

// What is stored under our key and is not ours, or not whole, is a miss, and is put right.
func TestSpoiledEntries(t *testing.T) {
	t.Parallel()
	b := open(t, shared(t))
	s := store.New(b, store.Options{})
	e := &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("a page")}
	key := store.Options{}.BackendKey(e.Key)
	for story, spoil := range map[string]func(value []byte) []byte{
		"cut short":         func(v []byte) []byte { return v[:len(v)/2] },
		"a flipped bit":     func(v []byte) []byte { v[len(v)/2] ^= 4; return v },
		"another program's": func([]byte) []byte { return []byte(`{"name": "another program"}`) },
		"nothing":           func([]byte) []byte { return nil },
	} {
		if err := s.Set(t.Context(), e.Key, e, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), e.Key); err != nil || string(got.Body) != "a page" {
			t.Fatal(err)
		}
		mustSet(t, b, key, string(spoil([]byte(get(t, b, key)))), time.Hour)
		if got, err := s.Get(t.Context(), e.Key); err != store.ErrNotFound {
			t.Errorf("%s: %+v, %v", story, got, err)
		}
	}
}
