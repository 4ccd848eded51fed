package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// longPage is how long a page of these tests is, in bytes, and readBound what clients may hold.
const (
	longPage  = 512 << 10
	readBound = 2 << 20
)

// paragraph is the handlers' own piece of a page, which no client holds a copy of. It does not
// compress well.
var paragraph = func() []byte {
	p := make([]byte, 64<<10)
	for i := range p {
		p[i] = byte(i * i >> 3)
	}
	return p
}()

func writeLongPage(w io.Writer) {
	for range longPage / len(paragraph) {
		w.Write(paragraph)
	}
}

// stuck is a client that takes the header and the first byte of its body, and no more.
type stuck struct {
	*httptest.ResponseRecorder
	began chan struct{}
	once  sync.Once
	end   chan struct{}
}

func (w *stuck) Write([]byte) (int, error) {
	w.once.Do(func() { close(w.began) })
	<-w.end
	return 0, io.ErrClosedPipe
}

// stuckClients has so many clients ask h, each for what url names, that take nothing of their
// pages. It returns the answer of the last one. release lets all of them go.
func stuckClients(h http.Handler, clients int, url func(i int) string) (last *stuck, release func()) {
	var all sync.WaitGroup
	end := make(chan struct{})
	for i := range clients {
		w := &stuck{httptest.NewRecorder(), make(chan struct{}), sync.Once{}, end}
		all.Go(func() {
			defer func() { recover() }() // of a response that is cut
			h.ServeHTTP(w, httptest.NewRequest("GET", url(i), nil))
		})
		<-w.began
		last = w
	}
	return last, func() {
		close(end)
		all.Wait()
	}
}

// heapMiB is what the process holds.
func heapMiB() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc >> 20)
}

// bounded reports what clients hold past the bounds. The heap also has what each client's own
// connection takes, of a window of a stream.
func bounded(t *testing.T, c *middleware.Cache, grown int64) {
	t.Helper()
	s := c.Stats()
	if s.ReadBytes > readBound {
		t.Errorf("clients hold %d bytes, and MaxReadBytes is %d", s.ReadBytes, readBound)
	}
	if s.FillBytes > readBound {
		t.Errorf("runs hold %d bytes, and MaxFillBytes is %d", s.FillBytes, readBound)
	}
	if grown > 16 {
		t.Errorf("the heap has grown by %d MiB, and the bounds are 2 MiB each", grown)
	}
}

// onServer returns a Cache whose store is not in this process, with readBound for clients and runs.
func onServer(t *testing.T) *middleware.Cache {
	b := memstore.NewBackend(256 << 20)
	t.Cleanup(func() { b.Close() })
	return newCacheOn(t, store.New(b, store.Options{}), middleware.Options{Log: discard,
		MaxFillBytes: readBound, MaxReadBytes: readBound, StoreTimeout: time.Minute})
}

// A long page in a store on a server: each client that takes nothing would hold a copy of its own,
// also of a page that the handler validates or for which it fails. Where there is no room, it
// answers as if nothing were stored.
func TestClientsOfValidatedPagesHoldNoMoreThanTheBound(t *testing.T) {
	for _, s := range []struct {
		story  string
		says   string
		fails  bool
		routed bool // the handler may not run again
		tells  string
		status int
	}{
		{"a hit", "max-age=60", false, false, "fwd=miss; fwd-status=200; detail=crowded", 200},
		{"validated", "no-cache", false, false, "fwd=stale; fwd-status=200; detail=crowded", 200},
		{"validated behind a router", "no-cache", false, true,
			"fwd=stale; fwd-status=200; detail=crowded", 200},
		{"stale in the place of errors", "max-age=0, stale-if-error=600", true, false,
			"fwd=stale; fwd-status=500", 500},
	} {
		t.Run(s.story, func(t *testing.T) {
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", s.says)
				w.Header().Set("ETag", `"1"`)
				switch {
				case s.fails && o.runs.Load() > 1:
					http.Error(w, "the database is down", http.StatusInternalServerError)
					return
				case r.Header.Get("If-None-Match") != "":
					w.WriteHeader(http.StatusNotModified)
					return
				}
				writeLongPage(w)
			}
			c := onServer(t)
			h := http.Handler(c.Handler(o))
			if s.routed {
				h = routed(h)
			}
			get(h, "/page")
			before := heapMiB()
			last, release := stuckClients(h, 64, func(int) string { return "/page" })
			defer release()
			bounded(t, c, heapMiB()-before)
			want(t, "status", last.Code, s.status)
			status(t, last.Result(), s.tells)
			want(t, "runs", o.runs.Load() > 60, true)
		})
	}
}

// What a run found is dropped when its handler answers with another page, for which its client may
// take its time.
func TestAClientOfANewPageDoesNotHoldTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, o.runs.Load()))
			writeLongPage(w)
		}
		c := onServer(t)
		h := c.Handler(o)
		get(h, "/page")
		time.Sleep(time.Minute)
		last, release := stuckClients(h, 1, func(int) string { return "/page" })
		synctest.Wait() // until the new page is stored, and counts in the place of its run
		status(t, last.Result(), "fwd=stale; fwd-status=200")
		want(t, "pages that are held", c.Stats().Readers, 1)
		release()
		want(t, "... at the end", c.Stats().Readers, 0)
	})
}

// A run that had no room for what is stored, and fails, leaves it in the store.
func TestACrowdedRunThatFailsKeepsThePage(t *testing.T) {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		if o.runs.Load() == 2 {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		writeLongPage(w)
	}
	b := memstore.NewBackend(256 << 20)
	defer b.Close()
	c := newCacheOn(t, store.New(b, store.Options{}), middleware.Options{Log: discard, MaxReadBytes: 1})
	h := c.Handler(o)
	get(h, "/page")
	r := get(h, "/page", "Cache-Control", "max-age=0")
	want(t, "status", r.StatusCode, http.StatusForbidden)
	status(t, r, "detail=page-kept")
	status(t, get(h, "/page"), "detail=crowded") // and not a hit for the error
}

// Clients that take nothing of long private pages, which runs behind have made for each of them,
// hold no more than the bounds. A page that there was no room for is made in front.
func TestClientsOfPagesHandedOverHoldNoMoreThanTheBounds(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		writeLongPage(w)
	}}
	c := newCache(t, middleware.Options{Log: discard, MaxFillBytes: readBound, MaxReadBytes: readBound})
	h := rooted(c, policy.Policy{TTL: time.Minute, HardTimeout: time.Minute}, o)
	before := heapMiB()
	last, release := stuckClients(h, 64, func(i int) string { return fmt.Sprint("/export?n=", i) })
	bounded(t, c, heapMiB()-before)
	want(t, "status", last.Code, 200)
	want(t, "readers hold some", c.Stats().ReadBytes > 0, true)
	release()
	want(t, "held by readers", c.Stats().ReadBytes, int64(0))
	want(t, "held by runs", c.Stats().FillBytes, int64(0))
}

// Where other clients hold MaxReadBytes already, a page that its run behind has made for one client
// counts among what runs hold until it is sent: its handler does not run again.
func TestALinkThatWorksOnceWhereClientsHoldTooMuch(t *testing.T) {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if o.runs.Load() > 1 {
			http.Error(w, "this link was used already", http.StatusGone)
			return
		}
		w.Write(paragraph)
		w.Write(paragraph)
	}
	c := newCache(t, middleware.Options{Log: discard, MaxReadBytes: 1})
	h := rooted(c, policy.Policy{TTL: time.Minute, HardTimeout: time.Minute}, o)
	last, release := stuckClients(h, 1, func(int) string { return "/confirm/abc" })
	want(t, "status", last.Code, 200)
	want(t, "runs", o.runs.Load(), int64(1))
	want(t, "held by readers", c.Stats().ReadBytes, int64(0))
	want(t, "held by runs", c.Stats().FillBytes >= int64(2*len(paragraph)), true)
	release()
	want(t, "held by runs at the end", c.Stats().FillBytes, int64(0))
}

// Requests that wait for a handler to renew a long page, in a store on a server, share one copy of
// the stale one, which counts. Without room they wait as if nothing were stored.
func TestRequestsThatWaitHoldNoMoreThanTheBound(t *testing.T) {
	for _, s := range []struct {
		story string
		url   func(i int) string
		holds int64
	}{
		{"for one page", func(int) string { return "/page" }, longPage},
		{"two for each page", func(i int) string { return fmt.Sprint("/page", i/2) }, readBound},
	} {
		t.Run(s.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const clients = 64
				var slow chan struct{}
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					if slow != nil {
						<-slow
					}
					w.Header().Set("Cache-Control", "max-age=1, stale-if-error=600")
					w.Header().Set("ETag", `"1"`)
					if r.Header.Get("If-None-Match") != "" {
						w.WriteHeader(http.StatusNotModified)
						return
					}
					writeLongPage(w)
				}}
				c := onServer(t)
				h := c.Handler(o)
				for i := range clients {
					get(h, s.url(i))
				}
				time.Sleep(time.Minute)
				slow = make(chan struct{})
				before := heapMiB()
				var all sync.WaitGroup
				for i := range clients {
					all.Go(func() {
						defer func() { recover() }() // of one that fell behind a page that nobody keeps
						want(t, "length", len(body(get(h, s.url(i)))), longPage)
					})
				}
				synctest.Wait()
				bounded(t, c, heapMiB()-before)
				want(t, "what they hold", c.Stats().ReadBytes/s.holds, int64(1))
				close(slow)
				all.Wait()
				want(t, "what they hold at the end", c.Stats().ReadBytes, int64(0))
			})
		})
	}
}
