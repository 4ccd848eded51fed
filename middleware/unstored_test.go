package middleware_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// slowStore is a store on a server, whose Set of a response takes as long as the test wants.
type slowStore struct {
	store.Store
	setting chan string // the key of a Set that has begun
	end     chan error  // how it ends
	over    chan struct{}
	gets    *atomic.Int64
}

func (s *slowStore) Get(ctx context.Context, key string) (*store.Entry, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, key)
}

func (s *slowStore) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	if e.Variants == nil {
		s.setting <- key
		select {
		case err := <-s.end:
			if err != nil {
				return err
			}
		case <-s.over:
		}
	}
	return s.Store.Set(ctx, key, e, ttl)
}

// slowly is an app over a slowStore, behind a real server. Its client's first request has the
// answer, while the store has not.
func slowly(
	t *testing.T, h http.HandlerFunc,
) (s *slowStore, c *middleware.Cache, o *origin, url string) {
	t.Helper()
	inner := memstore.New(64 << 20)
	t.Cleanup(func() { inner.Close() })
	s = &slowStore{inner, make(chan string, 64), make(chan error), make(chan struct{}),
		new(atomic.Int64)}
	c = middleware.New(s, middleware.Options{Log: discard})
	t.Cleanup(func() { c.Shutdown(context.Background()) })
	o = &origin{h: h}
	server := httptest.NewUnstartedServer(c.Handler(o))
	server.Config.ErrorLog = quiet
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(s.over) })
	return s, c, o, server.URL + "/"
}

// ask is a real client.
func ask(t *testing.T, method, url string, header ...string) (body string, res *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err = transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), res
}

const long = 100 << 10

// What is on its way to the store answers, for the same client's next request, whatever it wants of
// it.
func TestAPageThatIsOnItsWayToTheStoreAnswers(t *testing.T) {
	page := func(size int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			io.WriteString(w, strings.Repeat("x", size))
		}
	}
	for _, tt := range []struct {
		story string
		h     http.HandlerFunc
	}{
		{"a page that is held back", page(1000)},
		{"a page that streams", page(long, "Content-Length", strconv.Itoa(long))},
		{"a page that streams, and ends with little", func(w http.ResponseWriter, r *http.Request) {
			page(long, "Content-Length", strconv.Itoa(long+1))(w, r)
			time.Sleep(20 * time.Millisecond) // or else the client gets all at once
			io.WriteString(w, "x")
		}},
		{"a page with variants", page(1000, "Vary", "Accept-Language")},
		{"a page with variants that streams", page(long, "Vary", "Accept-Language",
			"Content-Length", strconv.Itoa(long))},
	} {
		t.Run(tt.story, func(t *testing.T) {
			s, _, o, url := slowly(t, tt.h)
			whole, _ := ask(t, "GET", url)
			<-s.setting
			for _, next := range []struct {
				method string
				header []string
				status int
				body   string
			}{
				{"HEAD", nil, 200, ""},
				{"GET", []string{"Range", "bytes=0-9"}, 206, whole[:10]},
				{"HEAD", []string{"Range", "bytes=0-9"}, 200, ""},
				{"GET", []string{"Accept", "text/html"}, 200, whole},
				{"GET", nil, 200, whole},
			} {
				body, res := ask(t, next.method, url, next.header...)
				if res.StatusCode != next.status || body != next.body {
					t.Errorf("%s %q: %d with %d bytes, want %d with %d", next.method, next.header,
						res.StatusCode, len(body), next.status, len(next.body))
				}
			}
			if n := o.runs.Load(); n != 1 {
				t.Errorf("the handler ran %d times, want 1", n)
			}
			s.end <- nil
			ask(t, "HEAD", url)
			if n := o.runs.Load(); n != 1 {
				t.Errorf("after it was stored the handler ran %d times, want 1", n)
			}
		})
	}
}

// While one page is on its way, a request for another asks the store no more often than ever.
func TestAPageOnItsWayCostsOthersNoCall(t *testing.T) {
	s, _, _, url := slowly(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "page")
	})
	ask(t, "GET", url+"a")
	<-s.setting
	before := s.gets.Load()
	ask(t, "GET", url+"b")
	if calls := s.gets.Load() - before; calls != before {
		t.Errorf("the store was asked %d times, want %d as when nothing was on its way", calls,
			before)
	}
}

// What is on its way is judged as what is stored.
func TestAPageOnItsWayIsJudged(t *testing.T) {
	s, c, o, url := slowly(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		io.WriteString(w, r.Header.Get("Accept-Language"))
	})
	ask(t, "GET", url, "Accept-Language", "de")
	<-s.setting
	if body, _ := ask(t, "GET", url, "Accept-Language", "fr", "Range", "bytes=0-"); body != "fr" || o.runs.Load() != 2 {
		t.Errorf("another variant: %q after %d runs", body, o.runs.Load())
	}
	<-s.setting
	if body, _ := ask(t, "GET", url, "Accept-Language", "de", "Range", "bytes=0-"); body != "de" || o.runs.Load() != 2 {
		t.Errorf("the first variant: %q after %d runs", body, o.runs.Load())
	}
	if _, res := ask(t, "HEAD", url, "Accept-Language", "de", "Cache-Control", "max-age=0"); o.runs.Load() != 3 || res.StatusCode != 200 {
		t.Errorf("a client that wants it anew: %d after %d runs", res.StatusCode, o.runs.Load())
	}
	if _, err := c.InvalidateURL(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if body, _ := ask(t, "HEAD", url, "Accept-Language", "de"); o.runs.Load() != 4 {
		t.Errorf("after an invalidation: %q after %d runs", body, o.runs.Load())
	}
}

// A page that the store does not take is gone, and the next request runs the handler.
func TestAPageThatDidNotArrive(t *testing.T) {
	for _, size := range []int{1000, long} {
		s, _, o, url := slowly(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", strconv.Itoa(size))
			io.WriteString(w, strings.Repeat("x", size))
		})
		ask(t, "GET", url)
		<-s.setting
		s.end <- errors.New("no")
		// A request that comes while the run ends may still be answered from it.
		for end := time.Now().Add(10 * time.Second); o.runs.Load() == 1 && time.Now().Before(end); {
			ask(t, "HEAD", url)
		}
		if n := o.runs.Load(); n != 2 {
			t.Errorf("the handler ran %d times, want 2", n)
		}
	}
}

// The client of a POST whose response is stored has all of it when the page is stored.
func TestAPostThatIsStored(t *testing.T) {
	for _, size := range []int{1, 1000, long} {
		s, _, o, url := slowly(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Location", r.URL.Path)
			w.Header().Set("Content-Length", strconv.Itoa(size))
			io.WriteString(w, strings.Repeat("x", size))
			http.NewResponseController(w).Flush()
		})
		had := make(chan string)
		go func() {
			body, _ := ask(t, "POST", url)
			had <- body
		}()
		<-s.setting
		body := ""
		select {
		case body = <-had:
			t.Error("the client has its whole answer, and the page is not stored")
			s.end <- nil
		case <-time.After(20 * time.Millisecond):
			s.end <- nil
			body = <-had
		}
		if len(body) != size {
			t.Errorf("the client got %d bytes, want %d", len(body), size)
		}
		if body, _ := ask(t, "GET", url); len(body) != size || o.runs.Load() != 1 {
			t.Errorf("GET: %d bytes after %d runs, want %d after 1", len(body), o.runs.Load(), size)
		}
	}
}

// A handler that has written its whole page, but not returned, has a client that may ask for a part
// of it.
func TestAPartOfAPageWhoseHandlerHasNotReturned(t *testing.T) {
	returns := make(chan struct{})
	s, _, o, url := slowly(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", strconv.Itoa(long))
		io.WriteString(w, strings.Repeat("x", long))
		<-returns
	})
	if body, _ := ask(t, "GET", url); len(body) != long {
		t.Errorf("%d bytes", len(body))
	}
	part := make(chan string)
	go func() {
		body, _ := ask(t, "GET", url, "Range", "bytes=0-9")
		part <- body
	}()
	time.AfterFunc(50*time.Millisecond, func() { close(returns) })
	if body := <-part; len(body) != 10 || o.runs.Load() != 1 {
		t.Errorf("%d bytes after %d runs, want 10 after 1", len(body), o.runs.Load())
	}
	<-s.setting
}

// lateCookie is a client's writer that sets a cookie as the header is written, and then waits for
// the body.
type lateCookie struct {
	http.ResponseWriter
	written chan struct{}
	goOn    chan struct{}
}

func (w lateCookie) WriteHeader(status int) {
	close(w.written)
	<-w.goOn
	w.Header().Add("Set-Cookie", "session=1")
	w.ResponseWriter.WriteHeader(status)
}

// A page that turns out to be for one client, as its header is written, is found by nobody before
// that.
func TestAPageThatMayYetBePrivateIsNotOnItsWay(t *testing.T) {
	inner := memstore.New(1 << 20)
	defer inner.Close()
	// as on a server
	c := middleware.New(struct{ store.Store }{inner}, middleware.Options{Log: discard})
	defer c.Shutdown(context.Background())
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "a page")
	}}
	h := c.Handler(o)
	w := lateCookie{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	}()
	<-w.written
	get(h, "/", "Range", "bytes=0-0")
	if n := o.runs.Load(); n != 2 {
		t.Errorf("the handler ran %d times, want 2: what may yet be one client's was found by "+
			"another", n)
	}
	close(w.goOn)
	<-served
}

// arriving is a store that says it has not got what it is first asked for, when meanwhile it has.
type arriving struct {
	store.Store
	arrives func()
	once    atomic.Bool
}

func (s *arriving) Get(ctx context.Context, key string) (*store.Entry, error) {
	e, err := s.Store.Get(ctx, key)
	if err != nil && s.once.Load() && s.once.CompareAndSwap(true, false) {
		s.arrives()
	}
	return e, err
}

// A page that arrives at the store between a look there and a look at what is on its way is found.
func TestAPageThatArrivesBetweenTwoLooks(t *testing.T) {
	inner := memstore.New(1 << 20)
	defer inner.Close()
	slow := &slowStore{inner, make(chan string, 1), make(chan error), make(chan struct{}),
		new(atomic.Int64)}
	s := &arriving{Store: slow}
	ended := make(chan struct{}, 8)
	c := middleware.New(s, middleware.Options{
		Log: discard, Observe: func(*http.Request, middleware.Event) { ended <- struct{}{} },
	})
	defer c.Shutdown(t.Context())
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "page")
	}}
	h := c.Handler(o)
	go get(h, "/")
	<-slow.setting
	s.arrives = func() {
		close(slow.over)
		<-ended
	}
	s.once.Store(true)
	want(t, "page", body(get(h, "/", "Range", "bytes=0-1")), "pa")
	want(t, "runs", o.runs.Load(), int64(1))
}

// A request that waits for nobody's page waits for no handler either that has written its whole
// page and not returned.
func TestAUserDoesNotWaitForAHandlerThatHasNotReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		returns := make(chan struct{})
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", strconv.Itoa(long))
			io.WriteString(w, strings.Repeat("x", long))
			if o.runs.Load() == 1 {
				<-returns
			}
		}
		h := c.Handler(o)
		var leader sync.WaitGroup
		leader.Go(func() { get(h, "/") })
		synctest.Wait()
		start := time.Now()
		want(t, "bytes", len(body(get(h, "/", "Cookie", "user=a"))), long)
		want(t, "time", time.Since(start), time.Duration(0))
		want(t, "runs", o.runs.Load(), int64(2))
		close(returns)
		leader.Wait()
	})
}

// lateMiss is a store that finds nothing, and then has something else happen before it says so,
// once.
type lateMiss struct {
	store.Store
	then func()
}

func (s *lateMiss) Get(ctx context.Context, key string) (*store.Entry, error) {
	e, err := s.Store.Get(ctx, key)
	if then := s.then; then != nil {
		s.then = nil
		then()
	}
	return e, err
}

// A request that found nothing and is about to run the handler looks once more when another run has
// ended meanwhile, and tells what is left of that page's lifetime.
func TestAPageThatIsStoredBetweenTheLookAndTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstore.New(1 << 20)
		defer memory.Close()
		s := &lateMiss{Store: memory}
		c := middleware.New(s, middleware.Options{Log: discard})
		defer c.Shutdown(t.Context())
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		}}
		h := c.Handler(o)
		s.then = func() {
			get(h, "/")
			time.Sleep(10 * time.Second)
		}
		r := get(h, "/")
		want(t, "page", body(r), "page")
		want(t, "Cache-Status", r.Header.Get("Cache-Status"), "Freshet; hit; ttl=50")
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// HEAD and Range requests, which lead no fill for others, look once more too.
func TestAPageThatIsStoredBetweenTheLookAndTheRunForAPartOfIt(t *testing.T) {
	for _, next := range []struct{ method, name, value string }{
		{"GET", "Range", "bytes=0-1"},
		{"HEAD", "Accept", "*/*"},
	} {
		t.Run(next.method, func(t *testing.T) {
			memory := memstore.New(1 << 20)
			defer memory.Close()
			s := &lateMiss{Store: memory}
			c := middleware.New(s, middleware.Options{Log: discard})
			defer c.Shutdown(t.Context())
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "page")
			}}
			h := c.Handler(o)
			s.then = func() { get(h, "/") }
			r := httptest.NewRequest(next.method, "/", nil)
			r.Header.Set(next.name, next.value)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want(t, "Cache-Status", w.Header().Get("Cache-Status")[:12], "Freshet; hit")
			want(t, "runs", o.runs.Load(), int64(1))
		})
	}
}
