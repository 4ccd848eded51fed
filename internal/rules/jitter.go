package rules

import (
	"time"

	"github.com/freshet-go/freshet/policy"
)

// leastLeft is what Jitter leaves of a lifetime.
const leastLeft = time.Second

// shorten takes from the lifetime of a response with the key what p.Jitter takes. It is the same
// for the same key and received, so that each process that judges the response again comes to the
// same lifetime. A response from another cache has lived for a while: what is left counts, or else
// one that is nearly stale would be so when it comes.
func (a *Admission) shorten(p *policy.Policy, key string, received time.Time) {
	left := a.Fresh - a.Age
	if !(p.Jitter > 0) || left <= leastLeft {
		return
	}
	most := time.Duration(min(p.Jitter, 1) * float64(left))
	a.Jitter = min(time.Duration(spread(key, received)*float64(most)), left-leastLeft)
	a.Fresh -= a.Jitter
}

// spread returns a number from 0 up to, and not including, 1 for a key and a time: numbers of
// different ones are independent, as far as matters where nobody gains by their choice. It is
// FNV-1a with the finalizer of MurmurHash3, and must stay as it is only for the time of one run.
func spread(key string, at time.Time) float64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h ^= uint64(at.UnixNano())
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}
