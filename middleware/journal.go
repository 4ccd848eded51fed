package middleware

import (
	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/follower"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

// coverage returns what invalidations since number mean for a response with a URI and tags.
func (c *Cache) coverage(uri string, tags []string, number uint64) invalidation.Coverage {
	return c.journal.Covers(&store.Entry{URI: uri, Tags: tags, Number: number})
}

// coverageOf returns what invalidations since a run began mean for a response with a URI and tags.
func (c *Cache) coverageOf(f *fill.Fill, uri string, tags []string) invalidation.Coverage {
	return c.journal.CoversSince(&store.Entry{URI: uri, Tags: tags, Number: f.Start.Number},
		f.Start.Held)
}

// startJournal finds the journal of the store or, where it has none, begins one of this process.
func (c *Cache) startJournal() {
	journal := c.options.Journal
	if journal == nil {
		if j, ok := store.As[store.Journaled](c.store); ok {
			journal = j.Journal()
		}
	}
	c.journal = follower.New(follower.Options{
		Journal: journal, Timeout: c.options.StoreTimeout, MaxLag: c.options.MaxLag,
		Log:      c.options.Log,
		ReadOnly: c.options.ReadOnly, Spool: c.openSpool(journal),
		Name: c.options.ProcessName, Notice: c.leases.notice,
	})
	if c.options.ReadOnly && !c.journal.Shared() {
		c.options.Log.Warn("freshet: Options.ReadOnly, and the store keeps no journal that other " +
			"processes share: nothing " +
			"that is stored counts, and handlers answer each request. Give the Cache a store on " +
			"a server, " +
			"or Options.Journal the journal of those who fill the store")
	}
	if f, ok := store.As[tier.Follower](c.store); ok {
		f.Follow(c.journal.Replica())
	}
	c.reclaim.init(c)
	c.journal.Replica().Notify(func() {
		c.reclaim.marked()
		c.leases.marked()
	})
	c.journal.Start(c.stop) // so that the first request finds what is stored
}
