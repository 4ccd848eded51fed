package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

// ask returns what the store has under key, or nil. A store that fails is a miss that is counted,
// and noted in f.
func (c *Cache) ask(ctx context.Context, key string, f *found) *store.Entry {
	e, err := c.read(ctx, key)
	switch {
	case err == nil:
		c.answered()
		if ours(e, key) {
			return e
		}
	case errors.Is(err, store.ErrNotFound):
		c.answered()
	default:
		f.broken, f.sick = reasonStoreError, f.sick || store.KindOf(err) != store.KindPermanent
		c.fault("store: get", err)
	}
	return nil
}

// read asks the store, within its time, or waits for what another request asks it.
func (c *Cache) read(ctx context.Context, key string) (*store.Entry, error) {
	if c.local {
		return c.store.Get(ctx, key)
	}
	ctx, end := c.storeContext(ctx)
	defer end()
	k := readKey{key, tier.SkipsNear(ctx)}
	one, leads := c.reads.join(k)
	if !leads {
		return one.wait(ctx)
	}
	one.err = store.ErrNotFound // for those who wait, if the call never returns
	defer c.reads.end(k, one)
	one.entry, one.err = c.guardedGet(ctx, key)
	return one.entry, one.err
}

// guardedGet asks the store. One that panics is broken, like one that fails.
func (c *Cache) guardedGet(ctx context.Context, key string) (e *store.Entry, err error) {
	defer caught(&err)
	return c.store.Get(ctx, key)
}

func caught(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("the store panicked: %v", v)
	}
}

// set stores an entry that others may have.
func (c *Cache) set(ctx context.Context, e *store.Entry) error { return c.put(ctx, e.Packed()) }

// put and remove are the only doors to the store for writing, as read is for reading. What they ask
// of the store goes on when the request of ctx has ended, and has the values of ctx.
func (c *Cache) put(ctx context.Context, e *store.Entry) error {
	if c.options.ReadOnly {
		return errReadOnly
	}
	if c.local {
		ctx = context.Background()
	} else {
		bounded, cancel := c.storeContext(ctx)
		defer cancel()
		ctx = bounded
	}
	left := e.TTL() - time.Since(e.Received)
	err := func() (err error) {
		defer caught(&err)
		return c.store.Set(ctx, e.Key, e, left)
	}()
	c.reads.written(e.Key)
	if err != nil {
		c.fault("store: set", err)
	}
	return err
}

// errReadOnly is why nothing is put into the store; no request comes so far.
var errReadOnly = errors.New("freshet: the cache is read-only")

// remove removes what is known to be of no use any more. A Cache that only reads stops using it.
func (c *Cache) remove(ctx context.Context, e *store.Entry) {
	if c.options.ReadOnly {
		c.journal.Append(context.Background(),
			[]store.Mark{{Kind: store.MarkKey, Name: cmp.Or(e.URI, e.Key)}})
		return
	}
	ctx, cancel := c.storeContext(ctx)
	defer cancel()
	err := func() (err error) {
		defer caught(&err)
		return c.store.Delete(ctx, e.Key)
	}()
	c.reads.written(e.Key)
	if err != nil {
		c.fault("store: delete", err)
	}
}

func (c *Cache) storeContext(ctx context.Context) (context.Context, func()) {
	return c.calls.Within(context.WithoutCancel(ctx), time.Now(), c.options.StoreTimeout)
}
