package middleware_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A run behind is the run of the request that has started it: its client and the observers hear of
// it once, in the words of a run in front. One whose client did not wait for it is a refresh.
func TestOneEventForARunBehind(t *testing.T) {
	for story, p := range map[string]policy.Policy{
		"in front": {}, "behind": {HardTimeout: 10 * time.Second, SoftTimeout: time.Second},
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var events []string
				c := newCache(t, middleware.Options{Log: discard, Observe: func(_ *http.Request, e middleware.Event) {
					mu.Lock()
					defer mu.Unlock()
					what := e.Outcome.String()
					if e.Refresh {
						what = "refresh: " + what
					}
					if took := 100 * time.Millisecond; e.Outcome.FwdStatus != 0 && e.Fill != took && e.Fill != 2*time.Second {
						t.Errorf("the handler took %v, want %v", e.Fill, took)
					}
					events = append(events, what)
				}})
				s := newSick("max-age=10, stale-if-error=60")
				takes := 100 * time.Millisecond
				app := c.Root(c.With(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(takes)
					s.ServeHTTP(w, r)
				})))
				hears := func(says string, more ...string) {
					t.Helper()
					want(t, "Cache-Status", get(app, "/").Header.Get("Cache-Status"), "Freshet; "+says)
					time.Sleep(5 * time.Second)
					mu.Lock()
					defer mu.Unlock()
					want(t, "events", len(events), 1+len(more))
					for i, event := range append([]string{says}, more...) {
						if i < len(events) {
							want(t, "event", events[i], event)
						}
					}
					events = nil
				}
				hears("fwd=uri-miss; fwd-status=200; stored")
				time.Sleep(6 * time.Second)
				hears("fwd=stale; fwd-status=200; stored")
				time.Sleep(6 * time.Second)
				s.ill = fails(503)
				hears("fwd=stale; fwd-status=503")
				if s.ill = nil; p.SoftTimeout > 0 {
					takes = 2 * time.Second
					hears("fwd=stale; detail=soft-timeout", "refresh: fwd=stale; fwd-status=200; stored")
				}
			})
		})
	}
}
