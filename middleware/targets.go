package middleware

import (
	"hash/maphash"
	"net/http"
	"sync/atomic"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// targets remembers what was made of the targets that are asked for most, so that a request for one
// of them makes no key of its own. A target takes the place of another when it is asked for twice
// in a row, so that those who ask for everything once push nothing out.
type targets struct {
	seed   maphash.Seed
	places [2048]place
}

type place struct {
	known atomic.Pointer[rules.Known]
	asked atomic.Uint64 // for what, when it was something else that was asked for last

	variant atomic.Pointer[string] // the key of a variant that was selected last
}

// find returns the place that a request's target would have, and what tells it from others of that
// place.
func (t *targets) find(r *http.Request) (*place, uint64) {
	sum := maphash.String(t.seed, r.RequestURI) ^ maphash.String(t.seed, r.Host)<<1
	return &t.places[sum%uint64(len(t.places))], sum
}

// maxVariantKey is the greatest length of a variant's key that is remembered.
const maxVariantKey = 1024

// text returns the key of a variant as a string: the one that it returned last, if it is the same.
func (pl *place) text(key []byte) string {
	if len(key) > maxVariantKey {
		return string(key)
	}
	if last := pl.variant.Load(); last != nil && *last == string(key) {
		return *last
	}
	made := string(key)
	pl.variant.Store(&made)
	return made
}

// note remembers what was read of r under p.
func (pl *place) note(sum uint64, r *http.Request, p *policy.Policy, q *rules.Request) {
	if pl.asked.Load() != sum {
		pl.asked.Store(sum)
	} else if known := rules.Know(r, p, q); known != nil {
		pl.known.Store(known)
	}
}
