package middleware

import (
	"slices"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

// index makes the response findable under its primary key: it notes which request fields the
// variants there are selected by. A response without Vary that was stored under the primary key
// itself becomes one of the variants.
func (n *run) index(e *store.Entry) {
	if n.failure || e.Key == n.x.req.Key || e.Key == n.indexing || n.found.broken != "" ||
		n.x.c.options.ReadOnly {
		return
	}
	n.indexing = e.Key
	c, key := n.x.c, n.x.req.Key
	lock, ok := c.indexing.lock(key, c.options.StoreTimeout)
	if !ok {
		// others wait for the store already, each for a variant: it may be found all the same, if
		// theirs is
		return
	}
	defer lock.unlock()
	now, lifetime := time.Now(), e.TTL()
	index := &store.Entry{Key: key, URI: n.x.req.URI, Received: now, Retention: lifetime,
		Number: e.Number}
	look := found{}
	old := n.x.ask(tier.SkipNear(n.x.r.Context()), key, &look)
	if look.broken != "" {
		return // and let others have the key, who may find the store well again
	}
	switch {
	case old == nil:
	case old.Variants != nil:
		index.Variants = old.Variants
		left := old.TTL() - now.Sub(old.Received)
		lists := slices.ContainsFunc(old.Variants, func(f []string) bool {
			return slices.Equal(f, n.varies)
		})
		lasts := left >= lifetime-time.Second // or else no near tier keeps it
		if lists && lasts && c.journal.Covers(old) == invalidation.CoverageNone {
			return
		}
		index.Retention, index.Number = max(index.Retention, left), max(index.Number, old.Number)
	default:
		moved := *old
		moved.Key = rules.VariantKey(key, nil, n.x.r.Header)
		if left := moved.TTL() - now.Sub(moved.Received); left > 0 && c.set(n.x.r.Context(), &moved) == nil {
			index.Variants = rules.AddVariant(nil, nil)
			index.Retention = max(index.Retention, left)
		}
	}
	index.Variants = rules.AddVariant(index.Variants, n.varies)
	c.set(n.x.r.Context(), index)
}
