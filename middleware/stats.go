package middleware

import (
	"time"

	"github.com/freshet-go/freshet/store"
)

// Stats are what a Cache holds and runs at one moment.
type Stats struct {
	// Fills is the number of keys whose responses are being made, and that requests may read along
	// with. FillBytes is what all fills hold in memory; Options.MaxFillBytes bounds it.
	Fills     int
	FillBytes int64
	// ReadBytes is what clients hold of long stored responses that the store has let go;
	// Options.MaxReadBytes bounds it. Readers is the number of long stored responses that clients
	// are reading.
	ReadBytes int64
	Readers   int
	// Refreshes is the number of refreshes that run in the background; Options.MaxRefreshes bounds
	// it.
	Refreshes int
	// TagsIgnored is the number of tags that handlers named in headers and that do not count, or
	// that did not fit into a field of policy.Policy.SendTags, since the Cache was made.
	TagsIgnored uint64
	// Journal is what is known of the journal of invalidations.
	Journal JournalStats
	// Tiers are the tiers of the store, the nearest first. Empty: the store reports nothing.
	Tiers []store.TierStats
}

// JournalStats are what a Cache knows of the journal of invalidations.
type JournalStats struct {
	Shared  bool   // other processes append to it as well
	InTouch bool   // it has answered within Options.MaxLag; or else nothing stored is used
	Number  uint64 // the newest number that is known
	// since it answered last; 0 without a shared journal; negative: it never answered
	Lag    time.Duration
	MaxLag time.Duration // Options.MaxLag: the Lag that ends InTouch; 0 without a shared journal
	Unsent int           // invalidations of this process that it has not taken yet

	Applied uint64 // up to which number this process has applied all invalidations
	// Behind is how many numbers are known to be given out that have not been applied, and BehindFor
	// for how long that is so; a BehindFor of more than MaxLag ends InTouch. 0: it has applied all.
	Behind    uint64
	BehindFor time.Duration

	// Members are the processes that follow the journal, this one among them, those that were heard
	// longest ago first, and at most 100: as the list was last read, once in 5 seconds. Nil: the
	// journal keeps no list.
	Members []store.Member
	// Floor is set after an outage longer than MaxLag: entries with a smaller number are not used
	// until the processes in Awaits have been heard, which may have invalidated something
	// meanwhile, or for 30 seconds. 0: everything is used again.
	Floor  uint64
	Awaits []store.Member
}

// Stats returns what the Cache holds and runs now. It waits for no server, and costs some
// microseconds.
func (c *Cache) Stats() Stats {
	s := Stats{
		Fills: c.fills.Len(), FillBytes: c.fills.Budget.Used(), Refreshes: len(c.refreshing),
		TagsIgnored: c.tagsIgnored.Load(),
		Journal:     JournalStats(c.journal.Status(time.Now())), Tiers: store.TierStatsOf(c.store),
	}
	if len(s.Tiers) > 0 && s.Tiers[0].Bytes >= 0 {
		s.Tiers[0].DeadBytes = c.deadBytes(s.Tiers[0].Bytes)
	}
	s.Readers, s.ReadBytes = c.fills.Pins.Len(), c.fills.Pins.Used()
	return s
}
