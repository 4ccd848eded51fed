package middleware

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// keep stores an entry, unless an invalidation has covered it since its handler began. What comes in
// between is caught when the entry is read, by its number. Out of touch with the journal there is no
// number to be had that others could trust, and what they have stored may be better.
func (n *run) keep(e *store.Entry) {
	defer n.arrived()
	if e == nil || n.x.broken == ReasonJournal {
		return
	}
	if n.x.c.follow.Covers(e) == store.CoverageHard {
		n.out.Stored, n.out.Detail = false, ReasonOutdated
		return
	}
	if why := n.f.GivenUp(); why != "" {
		n.out.Stored, n.out.Detail = false, why // another run may have stored what is newer
		return
	}
	if e != n.coming {
		if e = n.joined(e); e == nil {
			n.out.Stored = false
			return
		}
		n.index(e)
		if e != n.packed {
			e = e.Packed()
		}
	}
	n.checkRoom(e) // and yet it is put: what is stored under its key is not to be found any more
	if n.x.c.put(e) != nil {
		n.out.Stored, n.out.Detail = false, ReasonStoreError
		return
	}
	n.x.c.passes.forget(n.x.flight)
}

// joined adds a new part to the part that is stored, and leaves a whole as it is. A part never takes the place of a
// whole. Parts that would be too much together, for MaxBody or for what all runs may hold, are not joined: the new one
// stands for itself.
func (n *run) joined(e *store.Entry) *store.Entry {
	old := n.stale
	if e.Status != http.StatusPartialContent || old == nil || old.Key != e.Key {
		return e
	}
	if old.Spans == nil {
		return nil
	}
	if n.judge.Use == rules.Miss {
		return e // they are of two clients
	}
	if size := int64(len(old.Body)) + int64(len(e.Body)); size > n.x.maxBody() || !n.f.Take(size) {
		return e
	}
	if both, ok := rules.Combine(rules.Unannounced(old), e); ok {
		return both
	}
	return e
}

// letPartsGo lets go of what was joined, once it is stored: a client that takes its time for one part would keep all
// of them in memory.
func (n *run) letPartsGo() {
	if n.kept == nil || n.kept.Spans == nil {
		return
	}
	n.kept, n.packed = bodiless(n.kept), nil
	if n.stale != nil {
		n.stale = bodiless(n.stale)
	}
}

// bodiless returns a copy of e that holds nothing of its memory.
func bodiless(e *store.Entry) *store.Entry {
	head := *e
	head.Body = nil
	return head.Packed() // the fields of a packed entry lie beside it
}

// index makes the response findable under its primary key: it notes which request fields the variants
// there are selected by. A response without Vary that was stored under the primary key itself becomes
// one of the variants.
func (n *run) index(e *store.Entry) {
	if e.Key == n.x.req.Key || e.Key == n.indexing || n.x.broken != "" {
		return
	}
	n.indexing = e.Key
	c, key := n.x.c, n.x.req.Key
	defer c.indexing.lock(key)()
	now, lifetime := time.Now(), e.Lifetime()
	index := &store.Entry{Key: key, URI: n.x.req.URI, Received: now, Keep: lifetime, Fill: e.Fill}
	old := n.x.ask(store.SkipNear(n.x.r.Context()), key)
	if n.x.broken != "" {
		return // and let others have the key, who may find the store well again
	}
	switch {
	case old == nil:
	case old.Variants != nil:
		index.Variants = old.Variants
		left := old.Lifetime() - now.Sub(old.Received)
		lists := slices.ContainsFunc(old.Variants, func(f []string) bool { return slices.Equal(f, n.varies) })
		if lists && left >= lifetime-time.Second && c.follow.Covers(old) == store.CoverageNone { // or else no near tier keeps it
			return
		}
		index.Keep, index.Fill = max(index.Keep, left), max(index.Fill, old.Fill)
	default:
		moved := *old
		moved.Key = rules.VariantKey(key, nil, n.x.r.Header)
		if left := moved.Lifetime() - now.Sub(moved.Received); left > 0 && c.set(&moved) == nil {
			index.Variants = rules.AddVariant(nil, nil)
			index.Keep = max(index.Keep, left)
		}
	}
	index.Variants = rules.AddVariant(index.Variants, n.varies)
	c.set(index)
}

// set stores an entry that others may have.
func (c *Cache) set(e *store.Entry) error { return c.put(e.Packed()) }

// put and remove are the only doors to the store for writing.
func (c *Cache) put(e *store.Entry) error {
	ctx := context.Background()
	if !c.local {
		bounded, cancel := c.storeContext()
		defer cancel()
		ctx = bounded
	}
	left := e.Lifetime() - time.Since(e.Received)
	err := func() (err error) {
		defer caught(&err)
		return c.Store.Set(ctx, e.Key, e, left)
	}()
	if err != nil {
		c.fault("store: set", err)
	}
	return err
}

func (n *run) remove(key string) {
	ctx, cancel := n.x.c.storeContext()
	defer cancel()
	if err := func() (err error) {
		defer caught(&err)
		return n.x.c.Store.Delete(ctx, key)
	}(); err != nil {
		n.x.c.fault("store: delete", err)
	}
}

func (c *Cache) storeContext() (context.Context, func()) {
	return c.calls.Within(context.Background(), time.Now(), c.StoreTimeout)
}

// lost logs the panic of a handler whose client could still be served otherwise, or whose connection
// is aborted.
func (c *Cache) lost(r *http.Request, v any, stack []byte) {
	if v == nil || v == http.ErrAbortHandler {
		return
	}
	c.Log.Error("freshet: the handler panicked", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(stack))
}

// observe tells the operator's observer, if any.
func (x *exchange) observe(out policy.Outcome) {
	if x.c.Observe != nil {
		x.c.Observe(x.r, out)
	}
}
