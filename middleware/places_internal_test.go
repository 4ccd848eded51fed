package middleware

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// Nothing is left of a run that took the place of one that hung, nor of that one.
func TestARunInAnothersPlaceLeavesNothing(t *testing.T) {
	for _, streams := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := boundedCache(t, 1<<20)
			var runs atomic.Int64
			h := c.With(policy.Policy{TTL: time.Minute, MaxWait: time.Second})(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					if runs.Add(1) == 1 {
						time.Sleep(time.Hour)
					}
					if io.WriteString(w, "page"); streams {
						w.(http.Flusher).Flush()
					}
					time.Sleep(time.Second)
				}))
			for range 3 {
				go h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}
			time.Sleep(2 * time.Hour)
			if runs.Load() < 2 {
				t.Error("nobody has taken the place of the run that hangs")
			}
			idle(t, c)
		})
	}
}

// The places beside the runs of a key are remembered for as long as a request waits for one or has
// one.
func TestPlacesAreForgotten(t *testing.T) {
	var b besides
	b.init()
	p := b.of("key")
	if b.of("key") != p || b.of("other") == p {
		t.Error("a key has places of its own, and its requests share them")
	}
	want(t, "a place", p.take(), true)
	b.leave(p, false)
	want(t, "the places, while somebody has one", b.of("key"), p)
	b.leave(p, false)
	b.leave(p, true)
	b.leave(b.m["other"], false)
	want(t, "keys with places", len(b.m), 0)
	want(t, "places that are taken", len(p.taken), 0)
}
