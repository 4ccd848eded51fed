package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// stopsEarly is a handler that stops, without a word, when its context has ended: the first time
// that it runs, its client leaves in the middle.
func stopsEarly(o *origin, say http.Header, leave func()) {
	o.h = func(w http.ResponseWriter, r *http.Request) {
		for name, values := range say {
			w.Header()[name] = values
		}
		io.WriteString(w, "half ")
		if o.runs.Load() == 1 {
			leave()
			<-r.Context().Done()
			return
		}
		io.WriteString(w, "whole")
	}
}

// A client that leaves ends the run that is for it alone, and its handler stops where it is: what
// it has written until then is no page for others.
func TestAClientThatLeavesItsOwnRun(t *testing.T) {
	for name, s := range map[string]struct {
		p     policy.Policy
		field [2]string
		say   http.Header
	}{
		"a user's, public": {policy.Policy{}, [2]string{"Cookie", "id=1"},
			http.Header{"Cache-Control": {"public, max-age=60"}}},
		"a user's, on a Shared route": {policy.Policy{TTL: time.Minute, Shared: true},
			[2]string{"Authorization", "Bearer x"}, nil},
		"a part of a page": {policy.Policy{TTL: time.Minute}, [2]string{"Range", "bytes=0-"}, nil},
		"a stream":         {policy.Policy{TTL: time.Minute}, [2]string{"Accept", "text/event-stream"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // of the Shared one others could read along
				c, o := newCache(t), &origin{}
				ctx, leave := context.WithCancel(t.Context())
				stopsEarly(o, s.say, leave)
				h := c.With(s.p)(o)
				r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
				r.Header.Set(s.field[0], s.field[1])
				h.ServeHTTP(httptest.NewRecorder(), r)
				want(t, "page", body(get(h, "/")), "half whole")
			})
		})
	}
	t.Run("whole by its length", func(t *testing.T) {
		c, o := newCache(t), &origin{}
		ctx, leave := context.WithCancel(t.Context())
		stopsEarly(o, http.Header{"Cache-Control": {"public, max-age=60"},
			"Content-Length": {strconv.Itoa(len("half "))}}, leave)
		h := c.Handler(o)
		r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
		r.Header.Set("Cookie", "id=1")
		h.ServeHTTP(httptest.NewRecorder(), r)
		want(t, "page", body(get(h, "/")), "half ")
		want(t, "runs", o.runs.Load(), int64(1))
	})
	t.Run("a POST whose answer is stored", func(t *testing.T) {
		c, o := newCache(t), &origin{}
		ctx, leave := context.WithCancel(t.Context())
		stopsEarly(o, http.Header{"Cache-Control": {"max-age=60"}, "Content-Location": {"/"}}, leave)
		h := c.Handler(o)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "POST", "/", nil))
		want(t, "page", body(get(h, "/")), "half whole")
	})
	t.Run("a HEAD whose error is nobody's", func(t *testing.T) {
		c, o := newCache(t), &origin{}
		ctx, leave := context.WithCancel(t.Context())
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "HEAD" {
				leave()
				http.NotFound(w, r)
				return
			}
			io.WriteString(w, "page")
		}
		h := c.With(minute)(o)
		get(h, "/")
		r := httptest.NewRequestWithContext(ctx, "HEAD", "/", nil)
		r.Header.Set("Cache-Control", "no-cache")
		h.ServeHTTP(httptest.NewRecorder(), r)
		get(h, "/")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// A cache that ends ends its refreshes, and stores nothing of theirs.
func TestARefreshThatEndsWithItsCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstore.New(1 << 20)
		defer memory.Close()
		pages := struct{ store.Store }{memory} // as on a server, for all processes
		p := policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Hour}
		begun := make(chan struct{})
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half ")
			select {
			case begun <- struct{}{}:
				<-r.Context().Done()
			default:
				io.WriteString(w, "whole")
			}
		}}
		c := middleware.New(pages, middleware.Options{Log: discard})
		h := c.Root(c.With(p)(o))
		get(h, "/")
		time.Sleep(2 * time.Second)
		waits := make(chan struct{})
		go func() { <-begun; close(waits) }()
		synctest.Wait()
		get(h, "/")
		<-waits
		c.Shutdown(t.Context())
		next := middleware.New(pages, middleware.Options{Log: discard})
		defer next.Shutdown(t.Context())
		want(t, "page", body(get(next.Root(next.With(p)(o)), "/")), "half whole")
	})
}
