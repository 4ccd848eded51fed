package middleware

import (
	"hash/maphash"
	"math/rand/v2"
	"time"

	"github.com/freshet-go/freshet/internal/lossy"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// earlies remembers, for a second, which fresh responses a hit has begun to refresh, so that the
// hits of that second find out without a lock that there is nothing to do. It knows keys by their
// hashes.
type earlies struct {
	keys lossy.Table[uint64, earlyTry]
}

type earlyTry struct {
	received, at time.Time // when the response was received, and when the refresh began
}

const (
	earlySlots = 1 << 12
	earlyAgain = time.Second
)

func newEarlies() earlies { return earlies{lossy.New[uint64, earlyTry](earlySlots)} }

// begin reports whether the refresh of e, under the key, is the caller's to start.
func (t *earlies) begin(key string, e *store.Entry, now time.Time) bool {
	hash := maphash.String(seed, key)
	last, ok := t.keys.Find(hash, hash)
	if ok && last.received.Equal(e.Received) && now.Sub(last.at) < earlyAgain {
		return false
	}
	t.keys.Put(hash, hash, earlyTry{e.Received, now})
	return true
}

// refreshesEarly reports whether the request, a hit, starts a refresh of the fresh response that
// answers it.
func (l *lookup) refreshesEarly(now time.Time) bool {
	x, e := &l.x, l.found.entry
	p := rules.EarlyPolicy(x.p, e)
	if p == nil || e.Spans != nil || l.found.served != "" {
		return false
	}
	random := 0.0
	if p.XFetch > 0 {
		random = rand.Float64()
	}
	return rules.RefreshesEarly(e, p, now, random) && l.renewsBehind() &&
		!x.c.tries.failed(l.found.flight, x.p.Throttle, now) &&
		x.c.earlies.begin(l.found.flight, e, now)
}
