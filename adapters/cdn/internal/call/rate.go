package call

import (
	"sync"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
)

// Rate is a bucket of tokens that fills at a steady rate: what a target's API allows. A nil Rate
// allows everything. It is safe for concurrent use.
type Rate struct {
	mu     sync.Mutex
	burst  float64
	each   time.Duration // for one token
	tokens float64
	at     time.Time
}

// NewRate returns a full bucket of burst tokens, which gets n more in each interval per.
func NewRate(n float64, per time.Duration, burst int) *Rate {
	return &Rate{burst: float64(burst), tokens: float64(burst),
		each: time.Duration(float64(per) / n)}
}

// Take takes n tokens, or none and returns how long it takes until there are n. More than the
// bucket holds count as all that it holds. For a client's request half of the bucket stays, for
// what the app asks for, and more than the other half counts as that.
func (r *Rate) Take(n int, byRequest bool, now time.Time) (wait time.Duration) {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() {
		r.tokens = min(r.burst, r.tokens+float64(now.Sub(r.at))/float64(r.each))
	}
	r.at = now
	want, stays := min(float64(n), r.burst), 0.0
	if byRequest && r.burst >= 2 {
		stays = r.burst / 2
		want = min(want, r.burst-stays)
	}
	if missing := want + stays - r.tokens; missing > 0 {
		return time.Duration(missing * float64(r.each))
	}
	r.tokens -= want
	return 0
}

// Pace takes n tokens, or returns the error of a target that is asked too often.
func (c *Client) Pace(r *Rate, n int, byRequest bool) error {
	if wait := r.Take(n, byRequest, time.Now()); wait > 0 {
		e := c.Fail(cdn.KindPaced, nil, "the rate that is allowed is used up")
		e.RetryAfter = wait + time.Millisecond
		return e
	}
	return nil
}
