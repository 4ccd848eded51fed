package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// near is what a node keeps in its own memory.
type near struct {
	mu sync.Mutex
	m  map[string]copied
}

type copied struct {
	entry *store.Entry
	end   time.Time
}

func newNear() *near { return &near{m: map[string]copied{}} }

func (n *near) Local() bool { return true }

func (n *near) Get(_ context.Context, key string) (*store.Entry, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, ok := n.m[key]
	if !ok || !time.Now().Before(c.end) {
		return nil, store.ErrNotFound
	}
	return c.entry, nil
}

func (n *near) Set(_ context.Context, key string, e *store.Entry, ttl time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.m[key] = copied{e, time.Now().Add(ttl)}
	return nil
}

func (n *near) Delete(_ context.Context, key string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.m, key)
	return nil
}
