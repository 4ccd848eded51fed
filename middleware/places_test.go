package middleware_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// counted is a handler that counts how many of its runs run at once.
func counted(running *atomic.Int64, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Add(-1)
		h(w, r)
	}
}

// Each Timeout frees the key of a handler that does not look at its context, and lets one more run
// it. Those who run it beside that are four for all runs of the key together, and have their places
// until the handler returns.
func TestFewRunADeafHandlerBesideAllRunsOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, over atomic.Int64
		back := make(chan struct{})
		h := newCache(t).With(policy.Policy{Timeout: 2 * time.Second, MaxWait: time.Second})(
			counted(&running,
				func(w http.ResponseWriter, r *http.Request) {
					<-back
					w.Header().Set("Cache-Control", "max-age=600")
					fmt.Fprint(w, "page")
				}))
		const clients = 100
		for range clients {
			go func() {
				want(t, "body", body(get(h, "/")), "page")
				over.Add(1)
			}()
		}
		for timeouts := range int64(5) {
			time.Sleep(1500 * time.Millisecond)
			want(t, fmt.Sprint("runs at once after ", timeouts, " timeouts"), running.Load(),
				1+timeouts+4)
			time.Sleep(500 * time.Millisecond)
		}
		close(back)
		for over.Load() < clients {
			time.Sleep(time.Second)
		}
	})
}

// A place beside a run is free again when who had it is done, and is for those of another key from
// the beginning.
func TestPlacesBesideARunAreFreedAndAreAKeysOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, runs, over atomic.Int64
		h := newCache(t).With(policy.Policy{MaxWait: time.Second})(counted(&running,
			func(w http.ResponseWriter, r *http.Request) {
				runs.Add(1)
				time.Sleep(10 * time.Second)
				w.Header().Set("Cache-Control", "private") // which is for one client alone
				if r.Method == "HEAD" {
					return
				}
				time.Sleep(time.Hour)
			}))
		ask := func(method, url string) {
			go func() {
				do(h, method, url)
				over.Add(1)
			}()
		}
		for _, url := range []string{"/a", "/b"} {
			ask("GET", url)
			synctest.Wait()
			for range 6 {
				ask("HEAD", url) // what comes of it tells nothing to those who wait
			}
		}
		time.Sleep(5 * time.Second)
		want(t, "runs at once", running.Load(), int64(2*(1+4)))
		time.Sleep(10 * time.Second)
		want(t, "runs at once, when places are free again", running.Load(), int64(2*(1+2)))
		want(t, "runs", runs.Load(), int64(2*(1+6)))
		for over.Load() < 2*(1+6) {
			time.Sleep(time.Minute)
		}
	})
}

// Those who would be served stale, but that there is no room for so long a page, wait on for a
// place like all others.
func TestNoRoomForAStalePageLetsFewRunTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(64 << 20)
		defer s.Close()
		// no client gets a long stored body
		c := middleware.New(s, middleware.Options{Log: discard, MaxReadBytes: 1})
		defer c.Shutdown(t.Context())
		var running, runs, over atomic.Int64
		h := c.With(policy.Policy{MaxWait: time.Second, Retention: time.Hour})(counted(&running,
			func(w http.ResponseWriter, r *http.Request) {
				lifetime := "max-age=1"
				if runs.Add(1) > 1 {
					lifetime = "max-age=600"
					time.Sleep(time.Minute)
				}
				w.Header().Set("Cache-Control", lifetime)
				w.Write(make([]byte, 200<<10))
			}))
		get(h, "/")
		time.Sleep(5 * time.Second)
		const clients = 50
		for range clients {
			go func() {
				want(t, "length", len(body(get(h, "/"))), 200<<10)
				over.Add(1)
			}()
		}
		time.Sleep(30 * time.Second)
		want(t, "runs at once", running.Load(), int64(1+4))
		for over.Load() < clients {
			time.Sleep(time.Second)
		}
		want(t, "runs", runs.Load(), int64(1+1+4))
	})
}
