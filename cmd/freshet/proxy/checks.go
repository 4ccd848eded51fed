package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Health says how the proxy checks its upstreams. The zero value checks nothing.
type Health struct {
	// Path is the path and query that a check gets, behind the path of the upstream's URL:
	// "/healthz". The upstream is well when it answers 200 to 399 in time. Default "": there are no
	// checks.
	Path string
	// Host is the Host field of a check. Default "": that of the upstream's URL.
	Host string
	// Interval is the time from the end of one check of an upstream to the next. Default 5 seconds.
	Interval time.Duration
	// Timeout is how long the answer to a check may take. Default 2 seconds.
	Timeout time.Duration
	// Fall is how many bad checks in a row take an upstream down. Default 3.
	Fall int
	// Rise is how many good checks in a row bring it up again. Default 2.
	Rise int

	any bool // every answer is a good one
}

func (h Health) withDefaults() Health {
	if h.Interval <= 0 {
		h.Interval = 5 * time.Second
	}
	if h.Timeout <= 0 {
		h.Timeout = 2 * time.Second
	}
	if h.Fall <= 0 {
		h.Fall = 3
	}
	if h.Rise <= 0 {
		h.Rise = 2
	}
	return h
}

// CheckPath says what is wrong with Health.Path; nil: nothing.
func (h Health) CheckPath() error {
	if _, err := http.NewRequest(http.MethodGet, "http://upstream"+h.Path, nil); err != nil ||
		!strings.HasPrefix(h.Path, "/") || strings.Contains(h.Path, "#") {
		return errors.New("allowed is a path with or without a query, such as /healthz")
	}
	return nil
}

// checks are the goroutines that check upstreams.
type checks struct {
	health Health
	probe  func(ctx context.Context, at *upstream) error
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// start begins to check each upstream, at once and then at intervals, until stop.
func (c *checks) start(u *upstreams) {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	for _, each := range u.all {
		c.done.Go(func() { c.watch(ctx, u, each) })
	}
}

// stop ends the checks, also those under way. A nil *checks has none.
func (c *checks) stop() {
	if c != nil {
		c.cancel()
		c.done.Wait()
	}
}

func (c *checks) watch(ctx context.Context, u *upstreams, at *upstream) {
	for {
		within, cancel := context.WithTimeout(ctx, c.health.Timeout)
		err := c.probe(within, at)
		cancel()
		if ctx.Err() != nil {
			return
		}
		u.checked(at, err, c.health.Fall, c.health.Rise)
		select {
		case <-time.After(c.health.Interval):
		case <-ctx.Done():
			return
		}
	}
}

// httpProbe returns a probe by HTTP. Each makes a connection of its own, as a client of a server
// that has just been started would have to.
func httpProbe(h Health, transport *http.Transport) func(context.Context, *upstream) error {
	transport.DisableKeepAlives = true
	return func(ctx context.Context, at *upstream) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://upstream"+h.Path, nil)
		if err != nil {
			return err
		}
		r = at.request(r, true)
		r.Host = h.Host
		r.Header.Set("User-Agent", "freshet")
		res, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		res.Body.Close()
		if h.any {
			return nil
		}
		if res.StatusCode < 200 || res.StatusCode > 399 {
			return fmt.Errorf("%s answered %s", r.URL, res.Status)
		}
		return nil
	}
}
