package middleware

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/store"
)

// faults is what the log hears of a store that has no guard to say it: that it fails, when it
// begins to, and that it answers again.
type faults struct {
	failing atomic.Bool
	last    atomic.Int64 // when it failed last, in nanoseconds since 1970
	refused atomic.Int64 // when the log heard last of what the store refuses
}

const (
	// without a failure it answers again: one that fails now and then is not well
	wellAfter   = time.Second
	refuseEvery = time.Minute
)

// fault logs what went wrong outside of any request's fault, unless the store has logged it.
func (c *Cache) fault(doing string, err error) {
	if errors.Is(err, store.ErrUnavailable) {
		return
	}
	now := time.Now()
	// it refuses this one: that tells nothing of the others
	if store.KindOf(err) == store.KindPermanent {
		last := c.faults.refused.Load()
		if now.Sub(time.Unix(0, last)) >= refuseEvery && c.faults.refused.CompareAndSwap(last,
			now.UnixNano()) {
			c.options.Log.Error("freshet: "+doing+": refused, and not mentioned again for a "+
				"minute: requests are answered by their handlers", "error", err)
		}
		return
	}
	c.faults.last.Store(now.UnixNano())
	if !c.faults.failing.Swap(true) {
		c.options.Log.Error("freshet: "+doing+": the store fails: requests are answered by their "+
			"handlers", "error", err)
	}
}

// answered hears of each answer of the store.
func (c *Cache) answered() {
	if f := &c.faults; f.failing.Load() && time.Since(time.Unix(0, f.last.Load())) >= wellAfter &&
		f.failing.Swap(false) {
		c.options.Log.Info("freshet: the store answers again")
	}
}

// lost logs the panic of a handler whose client could still be served otherwise, or whose
// connection is aborted.
func (c *Cache) lost(r *http.Request, v any, stack []byte) {
	if v == nil || v == http.ErrAbortHandler {
		return
	}
	c.options.Log.Error("freshet: the handler panicked", "method", r.Method, "path", r.URL.Path,
		"panic", v, "stack", string(stack))
}

// failedLate tells of a handler that has said that it failed when its response had begun.
func (c *Cache) failedLate(r *http.Request, status, failed int) {
	c.options.Log.Error("freshet: the handler answered with an error when its response had begun, "+
		"so that response is not stored", "method", r.Method, "path", r.URL.Path, "status", status,
		"error_status", failed)
}

// warnOfClock says once that another process has stored a response in the future.
func (c *Cache) warnOfClock(ahead time.Duration) {
	c.say(slog.LevelWarn, "clocks of processes disagree: a stored response was received in the "+
		"future, so it is not used; keep the clocks of the machines together, with NTP",
		"ahead", ahead)
}

// brokeOff logs the error, or nil, with which a handler broke off in mid-response: nobody outside
// sees it, since the connection is aborted.
func (c *Cache) brokeOff(r *http.Request, err error) {
	if err == nil {
		return
	}
	c.options.Log.Error("freshet: the handler failed in the middle of its response, so its "+
		"client's connection was cut: "+
		"nobody may take half a page for whole", "method", r.Method, "path", r.URL.Path, "error",
		err)
}

// contradicts tells of a handler that has answered a validation with a 304 which is about another
// response than the stored one that it was asked about.
func (c *Cache) contradicts(r *http.Request, asked, said string) {
	c.options.Log.Error("freshet: a handler answered with a 304 that is about another response than "+
		"the one it was asked about, and cannot be asked again behind a router, so the client got "+
		"the stored response if it may be stale, or a 502: let the handler answer 304 only where "+
		"If-None-Match has the ETag that it says. For a day it is asked for this page without "+
		"conditions", "path", r.URL.Path, "asked", asked, "said", said)
}
