package middleware

import (
	"github.com/freshet-go/freshet/internal/follower"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

// startJournal finds the journal of the store or, where it has none, begins one of this process.
func (c *Cache) startJournal() {
	journal := c.options.Journal
	if journal == nil {
		if j, ok := store.As[store.Journaled](c.store); ok {
			journal = j.Journal()
		}
	}
	c.journal = follower.New(follower.Options{Journal: journal, Timeout: c.options.StoreTimeout, MaxLag: c.options.MaxLag, Log: c.options.Log})
	if f, ok := store.As[tier.Follower](c.store); ok {
		f.Follow(c.journal.Replica())
	}
	c.journal.Start(c.stop) // so that the first request finds what is stored
}
