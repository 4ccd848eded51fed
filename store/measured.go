package store

import "time"

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
	// JournalLost is since when the journal on the tier's server fails, which may do so while values
	// are read and written; zero: it answered last, or the tier does not know.
	JournalLost time.Time
	// EncryptionFaults are of a tier that is encrypted; -1 each of any other.
	EncryptionFaults EncryptionFaults
}

// EncryptionFaults counts what lay in an encrypted backend and did not open: values, and
// invalidations in its journal. Each value was a miss.
type EncryptionFaults struct {
	Unsealed     int64 // not encrypted: something that does not have the key has written it
	OtherVersion int64 // encrypted by a version that is not known here
	UnknownKey   int64 // encrypted with a key that is not known here
	Altered      int64 // damaged, cut, or moved here from elsewhere
}

// Causes yields each count with its name, as metrics have it: "unsealed", "other-version",
// "unknown-key" and "altered".
func (f EncryptionFaults) Causes(yield func(cause string, n int64) bool) {
	_ = yield("unsealed", f.Unsealed) && yield("other-version", f.OtherVersion) &&
		yield("unknown-key", f.UnknownKey) && yield("altered", f.Altered)
}

// Sum returns how many there were; 0 of a tier that is not encrypted.
func (f EncryptionFaults) Sum() (n int64) {
	for _, count := range f.Causes {
		n += max(count, 0)
	}
	return n
}

// Encrypted is the ability of a backend to count what did not open. It is safe for concurrent use.
type Encrypted interface{ EncryptionFaults() EncryptionFaults }

// encryptionFaults returns what a backend counts, or -1 each.
func encryptionFaults(b Backend) EncryptionFaults {
	if e, ok := As[Encrypted](b); ok {
		return e.EncryptionFaults()
	}
	return EncryptionFaults{-1, -1, -1, -1}
}

// NewTierStats returns the stats of a tier that knows nothing of itself but its name.
func NewTierStats(name string) TierStats {
	return TierStats{
		Name: name, Entries: -1, Bytes: -1, MaxBytes: -1, Evicted: -1, Expired: -1,
		Hits: -1, Misses: -1, Calls: -1, Failed: -1, Rejected: -1,
		Reclaimed: -1, ReclaimedBytes: -1, DeadBytes: -1,
		EncryptionFaults: EncryptionFaults{-1, -1, -1, -1},
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
