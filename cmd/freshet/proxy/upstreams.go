package proxy

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// upstreams are the servers that a request may go to. They answer alike: what is stored of one is
// served for all.
type upstreams struct {
	ejectFor time.Duration // 0 or less: never
	log      *slog.Logger

	mu   sync.Mutex // guards what follows, and each upstream's busy and health
	all  []*upstream
	turn int
}

// upstream is one of them.
type upstream struct {
	url    *url.URL
	busy   int // requests whose responses have not ended
	health health
}

func newUpstreams(urls []*url.URL, ejectFor time.Duration, log *slog.Logger) *upstreams {
	u := &upstreams{ejectFor: ejectFor, log: log}
	for _, each := range urls {
		u.all = append(u.all, &upstream{url: each})
	}
	return u
}

// String returns the URLs.
func (u *upstreams) String() string {
	urls := make([]string, len(u.all))
	for i, each := range u.all {
		urls[i] = each.url.String()
	}
	return strings.Join(urls, ",")
}

// begin chooses the upstream of a request that has tried others in vain, and counts the request;
// nil: none is left. Of the two whose turn is next, it is the one with fewer requests: in turn
// while all are as fast, and away from one that is slow. Those that are ejected come last, since
// they may be back; those that fail their checks never come.
func (u *upstreams) begin(tried []*upstream, now time.Time) *upstream {
	u.mu.Lock()
	defer u.mu.Unlock()
	var ready []*upstream
	var soonest *upstream // of the ejected
	for _, each := range u.all {
		switch {
		case each.health.failing || slices.Contains(tried, each):
		case each.health.ready(now):
			ready = append(ready, each)
		case soonest == nil || each.health.ejected.Before(soonest.health.ejected):
			soonest = each
		}
	}
	chosen := soonest
	if n := len(ready); n > 0 {
		chosen = ready[u.turn%n]
		if next := ready[(u.turn+1)%n]; next.busy < chosen.busy {
			chosen = next
		}
		u.turn = (u.turn + 1) % (1 << 30)
		chosen.health.try(now, u.ejectFor)
	}
	if chosen != nil {
		chosen.busy++
	}
	return chosen
}

// stay counts a request that can go to one upstream alone.
func (u *upstreams) stay(with *upstream) {
	u.mu.Lock()
	with.busy++
	u.mu.Unlock()
}

// end counts a request that has ended.
func (u *upstreams) end(at *upstream) {
	u.mu.Lock()
	at.busy--
	u.mu.Unlock()
}

// answered notes that an upstream began a response.
func (u *upstreams) answered(by *upstream) {
	u.mu.Lock()
	back := by.health.answered()
	u.mu.Unlock()
	u.tell(by, back, nil)
}

// lost notes that an upstream gave no response.
func (u *upstreams) lost(at *upstream, err error, now time.Time) {
	if u.ejectFor <= 0 {
		return
	}
	u.mu.Lock()
	gone := at.health.lose(unreachable(err), now, u.ejectFor)
	u.mu.Unlock()
	u.tell(at, gone, err)
}

// checked notes the result of a health check.
func (u *upstreams) checked(at *upstream, err error, fall, rise int) {
	u.mu.Lock()
	changed := at.health.checked(err == nil, fall, rise)
	u.mu.Unlock()
	u.tell(at, changed, err)
}

// tell logs a change of an upstream's state.
func (u *upstreams) tell(at *upstream, changed bool, err error) {
	switch {
	case !changed:
	case err != nil:
		u.log.Error("freshet proxy: an upstream is down", "upstream", at.url.String(), "error", err)
	default:
		u.log.Info("freshet proxy: an upstream is up again", "upstream", at.url.String())
	}
}

// request returns r for the upstream: its path behind that of the upstream's URL.
func (s *upstream) request(r *http.Request, replaceHost bool) *http.Request {
	out := new(http.Request)
	*out = *r
	target := *r.URL
	out.URL = &target
	(&httputil.ProxyRequest{Out: out}).SetURL(s.url)
	if !replaceHost {
		out.Host = r.Host
	}
	return out
}
