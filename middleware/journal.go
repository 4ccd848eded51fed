package middleware

import (
	"github.com/freshet-go/freshet/internal/follower"
	"github.com/freshet-go/freshet/store"
)

// startJournal finds the journal of the store or, where it has none, begins one of this process.
func (c *Cache) startJournal() {
	journal := c.Journal
	if journal == nil {
		if j, ok := store.As[store.Journaled](c.Store); ok {
			journal = j.Journal()
		}
	}
	c.follow = follower.New(follower.Options{Journal: journal, Timeout: c.StoreTimeout, MaxLag: c.MaxLag, Log: c.Log})
	if f, ok := store.As[store.Follower](c.Store); ok {
		f.Follow(c.follow.Replica())
	}
	c.follow.Start(c.stop) // so that the first request finds what is stored
}
