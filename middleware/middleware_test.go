package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// origin is a handler that counts its runs.
type origin struct {
	runs atomic.Int64
	h    http.HandlerFunc
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.runs.Add(1)
	o.h(w, r)
}

// newCache returns a cache with a store of its own, and with the options, if there are any. Its log
// is silent, unless they say otherwise.
func newCache(t *testing.T, options ...middleware.Options) *middleware.Cache {
	t.Helper()
	var o middleware.Options
	if len(options) > 0 {
		o = options[0]
	}
	s := memstore.New(64 << 20)
	t.Cleanup(s.Close)
	return newCacheOn(t, s, o)
}

// newCacheOn is newCache with a store that is the test's to close.
func newCacheOn(t *testing.T, s store.Store, o middleware.Options) *middleware.Cache {
	t.Helper()
	if o.Log == nil {
		o.Log = discard
	}
	c := middleware.New(s, o)
	t.Cleanup(func() {
		err := c.Shutdown(context.Background())
		if err != nil && !errors.Is(err, middleware.ErrUnsent) { // of a journal that the test broke
			t.Error(err)
		}
	})
	return c
}

var (
	discard = slog.New(slog.DiscardHandler)
	quiet   = log.New(io.Discard, "", 0)
)

func tag(name string) store.Mark { return store.Mark{Kind: store.MarkTag, Name: name} }

// logger returns a log, and what it has said.
func logger() (log *slog.Logger, said func() string) {
	text := &strings.Builder{}
	return slog.New(slog.NewTextHandler(text, nil)), text.String
}

// failed returns the error of an invalidation.
func failed(_ middleware.Receipt, err error) error { return err }

// get asks h once, as a client would that reads all.
func get(h http.Handler, url string, header ...string) *http.Response {
	return do(h, "GET", url, header...)
}

func do(h http.Handler, method, url string, header ...string) *http.Response {
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(r *http.Response) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func status(t *testing.T, r *http.Response, contains string) {
	t.Helper()
	if s := r.Header.Get("Cache-Status"); !strings.Contains(s, contains) {
		t.Errorf("Cache-Status is %q, want it to contain %q", s, contains)
	}
}

func TestMissThenHitThenStaleThenFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprintf(w, "run %d", o.runs.Load())
		}
		h := c.Handler(o)
		r := get(h, "/a")
		want(t, "first", body(r), "run 1")
		status(t, r, "fwd=uri-miss")
		status(t, r, "stored")
		etag := r.Header.Get("ETag")
		if etag == "" || r.Header.Get("Last-Modified") == "" {
			t.Errorf("the cache made no validators: %v", r.Header)
		}
		time.Sleep(10 * time.Second)
		r = get(h, "/a")
		want(t, "second", body(r), "run 1")
		status(t, r, "hit")
		want(t, "Age", r.Header.Get("Age"), "10")
		want(t, "the tag on a hit", r.Header.Get("ETag"), etag)
		r = get(h, "/a", "If-None-Match", etag)
		want(t, "conditional", r.StatusCode, 304)
		want(t, "conditional's body", body(r), "")
		time.Sleep(60 * time.Second)
		r = get(h, "/a")
		want(t, "after its lifetime", body(r), "run 2")
		status(t, r, "fwd=stale")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// One fill however many ask, and each gets the whole body.
func TestOneFillForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "slow")
		}}
		h := c.Handler(o)
		var all sync.WaitGroup
		var collapsed atomic.Int64
		for range 200 {
			all.Go(func() {
				r := get(h, "/cold")
				want(t, "body", body(r), "slow")
				if strings.Contains(r.Header.Get("Cache-Status"), "collapsed") {
					collapsed.Add(1)
				}
			})
		}
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
		want(t, "collapsed", collapsed.Load(), int64(199))
	})
}

// A client gets the bytes as they come, and so does one that joins in the middle.
func TestStreamsToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			for i := range 4 {
				fmt.Fprintf(w, "part %d;", i)
				w.(http.Flusher).Flush()
				time.Sleep(time.Second)
			}
		}}
		h := c.Handler(o)
		start := time.Now()
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				time.Sleep(time.Duration(i)*time.Second + time.Duration(i)*time.Millisecond)
				w := &timedWriter{header: http.Header{}, start: start}
				h.ServeHTTP(w, httptest.NewRequest("GET", "/stream", nil))
				want(t, "body", w.body.String(), "part 0;part 1;part 2;part 3;")
				if w.first > time.Duration(i)*time.Second+500*time.Millisecond {
					t.Errorf("client %d got its first byte after %v", i, w.first)
				}
			})
		}
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

type timedWriter struct {
	header http.Header
	status int
	body   strings.Builder
	start  time.Time
	first  time.Duration
}

func (w *timedWriter) Header() http.Header { return w.header }
func (w *timedWriter) WriteHeader(s int)   { w.status = s }
func (w *timedWriter) Flush()              {}
func (w *timedWriter) Write(p []byte) (int, error) {
	if w.body.Len() == 0 {
		w.first = time.Since(w.start)
	}
	return w.body.Write(p)
}
