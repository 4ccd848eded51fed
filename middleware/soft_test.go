package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// slowHead is a writer of an app's own that takes its time to send a header, so that others wait
// for what the cache has judged already.
type slowHead struct {
	http.ResponseWriter
	wait <-chan struct{}
}

func (w slowHead) WriteHeader(status int) {
	<-w.wait
	w.ResponseWriter.WriteHeader(status)
}

// An invalidation that comes while a request waits for another's run counts for it: a soft one
// makes the response stale, so that it has it only where a stale one may be served at once, and
// asks the handler otherwise.
func TestAnInvalidationWhileARequestWaits(t *testing.T) {
	for _, s := range []struct {
		name, says string
		soft       bool
		waiting    string
		runs       int64
		stale      int64
	}{
		{"a hard one", "max-age=60", false, "2", 2, 0},
		{"a soft one", "max-age=60", true, "2", 2, 0},
		{"a soft one of what may be served stale meanwhile",
			"max-age=60, stale-while-revalidate=60", true, "1", 1, 5},
		{"a hard one of what may be served stale", "max-age=60, stale-while-revalidate=60", false,
			"2", 2, 0},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stale atomic.Int64
				c := newCache(t, middleware.Options{
					Observe: func(_ *http.Request, out middleware.Event) {
						if out.Stale {
							stale.Add(1)
						}
					},
				})
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", s.says)
					fmt.Fprint(w, o.runs.Load())
				}
				h := c.Handler(o)
				sent := make(chan struct{})
				var all sync.WaitGroup
				all.Go(func() {
					w := httptest.NewRecorder()
					h.ServeHTTP(slowHead{w, sent}, httptest.NewRequest("GET", "/", nil))
					want(t, "the leader's", w.Body.String(), "1")
				})
				synctest.Wait()
				for range 5 {
					all.Go(func() { want(t, "who waited", body(get(h, "/")), s.waiting) })
				}
				synctest.Wait()
				if _, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkEverything,
					Soft: s.soft}); err != nil {
					t.Error(err)
				}
				// runs that begin in one nanosecond, as they may in a bubble, have no order
				time.Sleep(time.Millisecond)
				close(sent)
				all.Wait()
				want(t, "runs", o.runs.Load(), s.runs)
				want(t, "observed as stale", stale.Load(), s.stale)
			})
		})
	}
}

// A page that stands in for an error was invalidated before those who get it came: they do not have
// the handler fail once more for each.
func TestASoftlyInvalidatedPageStandsInForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60, stale-if-error=60")
			if o.runs.Load() > 1 {
				time.Sleep(time.Second)
				w.WriteHeader(http.StatusInternalServerError)
			}
			fmt.Fprint(w, o.runs.Load())
		}
		h := c.Handler(o)
		get(h, "/")
		if _, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkEverything, Soft: true}); err != nil {
			t.Error(err)
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { want(t, "the page", body(get(h, "/")), "1") })
		}
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// What a run answers that an invalidation has overtaken is for its own client. Those who waited for
// it share one run that knows of the change, and do not ask the handler all at once.
func TestThoseWhoWaitedForAnOutdatedRunShareOne(t *testing.T) {
	for _, soft := range []bool{false, true} {
		t.Run(fmt.Sprint("soft=", soft), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					run := o.runs.Load()
					time.Sleep(time.Second)
					w.Header().Set("Cache-Control", "max-age=60")
					fmt.Fprint(w, run)
				}
				h := c.Handler(o)
				var all sync.WaitGroup
				all.Go(func() { want(t, "the leader's", body(get(h, "/")), "1") })
				synctest.Wait()
				for range 20 {
					all.Go(func() { want(t, "who waited", body(get(h, "/")), "2") })
				}
				synctest.Wait()
				if _, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkEverything,
					Soft: soft}); err != nil {
					t.Error(err)
				}
				all.Wait()
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// What a soft purge has made stale says so: its ttl is negative, however much of its lifetime is
// left, in Cache-Status and in what Observe gets.
func TestASoftlyPurgedPageHasANegativeTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told policy.Outcome
		c := newCache(t, middleware.Options{Observe: func(_ *http.Request, e middleware.Event) {
			if e.Hit { // and not the refresh, beside it
				told = e.Outcome
			}
		}})
		h := c.With(policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Minute})(
			http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page") }))
		app := c.Root(h)
		get(app, "/")
		time.Sleep(time.Second)
		want(t, "before", get(app, "/").Header.Get("Cache-Status"), "Freshet; hit; ttl=59")
		if _, err := c.InvalidateURL(t.Context(), "http://example.com/", middleware.Soft); err != nil {
			t.Fatal(err)
		}
		want(t, "after", get(app, "/").Header.Get("Cache-Status"), "Freshet; hit; ttl=-1")
		want(t, "the Outcome is stale", told.Stale, true)
		want(t, "its TTL", told.TTL, -time.Second)
		synctest.Wait()
	})
}
