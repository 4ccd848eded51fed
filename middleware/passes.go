package middleware

import (
	"hash/maphash"
	"time"

	"github.com/freshet-go/freshet/internal/lossy"
	"github.com/freshet-go/freshet/policy"
)

// passes remembers, for a while, the keys whose responses turned out not to be shareable, and why,
// so that their next clients do not wait for each other. It knows keys by their hashes: a key that
// is taken for another (once in 2^64) runs the handler by itself for a while.
type passes struct {
	keys lossy.Table[uint64, pass]
}

type pass struct {
	until time.Time
	why   policy.Reason
}

const (
	passSlots    = 1 << 14
	passFor      = 10 * time.Second
	passForError = time.Second // an error page: the next response may well be shareable
)

func newPasses() passes { return passes{lossy.New[uint64, pass](passSlots)} }

func (t *passes) remember(key string, until time.Time, why policy.Reason) {
	hash := maphash.String(seed, key)
	t.keys.Put(hash, hash, pass{until, why})
}

func (t *passes) forget(key string) {
	hash := maphash.String(seed, key)
	t.keys.Delete(hash, hash)
}

// find returns why the last response under the key could not be shared, or nothing when it is not
// remembered.
func (t *passes) find(key string, now time.Time) policy.Reason {
	hash := maphash.String(seed, key)
	held, ok := t.keys.Find(hash, hash)
	switch {
	case !ok || now.After(held.until):
		return ""
	case held.why == "":
		return reasonPass
	}
	return held.why
}
