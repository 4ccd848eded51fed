package middleware

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/store"
)

// refreshTicket travels with a request that enters the app's root handler to renew an entry, and is
// shown when it arrives at the cache.
type refreshTicket struct {
	c         *Cache
	who       *identity // of the mount that it is for
	key       string    // the primary key that it is for
	flight    string
	fill      *fill.Fill
	old       *store.Entry // which is to be renewed
	throttles bool         // a failure has stale responses served for a while
	near      bool         // old may be a near copy of what another process has renewed
	terms     terms        // on which it is done for all processes; none: for this one
	lease     atomic.Pointer[lease]
	arrived   atomic.Bool
	expire    *time.Timer
	behind    bool  // clients wait for it: see lookup.leadBehind
	sole      *sole // what the client that started it may get alone, or nil
	said      atomic.Pointer[saidBehind]
	left      atomic.Bool // the client that started it waits for it no more

	mu     sync.Mutex
	placed bool // it has a place among the refreshes
	over   bool // it takes none any more
}

// keep gives the run a place among the refreshes, if one is free: then it goes on when nobody waits
// for it.
func (t *refreshTicket) keep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.placed {
		return
	}
	select {
	case t.c.refreshing <- struct{}{}:
		t.placed = true
		t.fill.Keep()
	default:
	}
}

// free gives its place among the refreshes back, once.
func (t *refreshTicket) free() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.placed {
		t.placed = false
		<-t.c.refreshing
	}
}

// link has a run that clients wait for end some time after they have left, unless it has a place.
func (t *refreshTicket) link(end func()) {
	if !t.behind {
		return
	}
	t.fill.WhenDeserted(reasonLost, end)
	t.fill.LeaderLeft()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.placed {
		t.fill.Keep()
	}
}
