package middleware_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A refresh that finds its resource switched off has come to its mount: the log says nothing, no
// handler runs for a client that does not exist, and once the resource is on again its pages are
// refreshed as before.
func TestARefreshWhoseResourceIsSwitchedOff(t *testing.T) {
	expires, err := policy.NewExpires([]string{"page"},
		policy.ExpirySetting{Name: "closed.page", Origin: "the test"})
	if err != nil {
		t.Fatal(err)
	}
	on, off := policy.Policy{}, policy.Policy{Off: true}
	for name, policyWhen := range map[string]func(closed *atomic.Bool) func(
		*http.Request) *policy.Policy{
		"by the policy": func(closed *atomic.Bool) func(*http.Request) *policy.Policy {
			return func(*http.Request) *policy.Policy {
				if closed.Load() {
					return &off
				}
				return &on
			}
		},
		"by a setting": func(closed *atomic.Bool) func(*http.Request) *policy.Policy {
			p := policy.Policy{Resource: "page", Scope: func(*http.Request) []string {
				if closed.Load() {
					return []string{"closed"}
				}
				return nil
			}}
			return func(*http.Request) *policy.Policy { return &p }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var closed, closing atomic.Bool
				c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil)),
					Expires: expires, Policy: policyWhen(&closed)})
				o := renewable()
				h := c.Handler(o)
				c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					closed.Store(closing.Load()) // on the way of the refresh
					h.ServeHTTP(w, r)
				}))
				get(h, "/")
				time.Sleep(5 * time.Second)
				closing.Store(true)
				want(t, "stale", body(get(h, "/")), "run 1")
				synctest.Wait()
				want(t, "switched off", closed.Load(), true)
				want(t, "runs", o.runs.Load(), int64(1))
				want(t, "the log", log.String(), "")

				closing.Store(false)
				closed.Store(false)
				want(t, "stale, on again", body(get(h, "/")), "run 1")
				synctest.Wait()
				want(t, "renewed", body(get(h, "/")), "run 2")
				want(t, "runs, on again", o.runs.Load(), int64(2))
				want(t, "the log, on again", log.String(), "")
			})
		})
	}
}

// A mount that is off passes what comes to it: requests of clients, and the refreshes of a mount
// inside.
func TestAMountThatIsOffInTheWayOfARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		o := renewable()
		inside := c.Handler(o)
		h := c.With(policy.Policy{Off: true})(inside)
		c.Root(h)
		want(t, "first", body(get(h, "/")), "run 1")
		time.Sleep(5 * time.Second)
		want(t, "stale", body(get(h, "/")), "run 1")
		synctest.Wait()
		want(t, "renewed", body(get(h, "/")), "run 2")
		want(t, "the log", log.String(), "")
	})
}
