package store

// TierStats is what one tier of a store holds now, and what it has done since it was made. A number
// that a tier does not know is -1.
type TierStats struct {
	// Name is the kind of the tier: "memory", "file", "redis" or that of a driver of the app's own.
	Name string

	Entries         int64
	Bytes, MaxBytes int64 // as they count towards the bound, and the bound
	Evicted         int64 // entries that had to make room
	Expired         int64 // entries that were removed because their time was over
	// entries that were removed because an invalidation covers them, and what they took
	Reclaimed, ReclaimedBytes int64
	// DeadBytes estimates how much of Bytes is of entries that an invalidation covers, and that are
	// still there, from a sample of 256.
	DeadBytes     int64
	Hits, Misses  int64 // of reads that came to this tier
	Calls, Failed int64 // operations that reached the server, and how many of them failed
	// operations that the breaker, or the bound on waiting ones, kept from it
	Rejected int64
	Breaker  string // "closed", "open", "half-open"; empty: the tier has none
}

// NewTierStats returns the stats of a tier that knows nothing of itself but its name.
func NewTierStats(name string) TierStats {
	return TierStats{
		Name: name, Entries: -1, Bytes: -1, MaxBytes: -1, Evicted: -1, Expired: -1,
		Hits: -1, Misses: -1, Calls: -1, Failed: -1, Rejected: -1,
		Reclaimed: -1, ReclaimedBytes: -1, DeadBytes: -1,
	}
}

// Measured is the ability of a store to report what its tiers hold and do, the nearest first. It
// must not wait for a server, and is safe for concurrent use.
type Measured interface{ TierStats() []TierStats }

// TierStatsOf returns what the tiers of a store report, or nil when the store reports nothing.
func TierStatsOf(s Store) []TierStats {
	if m, ok := As[Measured](s); ok {
		return m.TierStats()
	}
	return nil
}
