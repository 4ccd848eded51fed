package tieredstore

import (
	"sync/atomic"
	"unsafe"

	"github.com/freshet-go/freshet/store"
)

// Stats are the counts of a Store since New. Each Get counts once; a GetNear counts if it found
// something.
type Stats struct {
	NearHits uint64 // answered with a near copy
	FarHits  uint64 // answered by the far store
	Misses   uint64 // found in neither
	Failed   uint64 // not found near, and the far store failed
}

type counts struct {
	near                counter
	far, misses, failed atomic.Uint64
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	return Stats{
		NearHits: s.counts.near.sum(),
		FarHits:  s.counts.far.Load(),
		Misses:   s.counts.misses.Load(),
		Failed:   s.counts.failed.Load(),
	}
}

// TierStats implements [store.Measured]: the near store's, then the far one's.
func (s *Store) TierStats() []store.TierStats {
	tiers := store.TierStatsOf(s.near)
	if len(tiers) == 0 {
		tiers = []store.TierStats{store.NewTierStats("near")}
	}
	st := s.Stats()
	tiers[0].Hits, tiers[0].Misses = int64(st.NearHits), int64(st.FarHits+st.Misses+st.Failed)
	if s.far == nil {
		return tiers
	}
	far := store.TierStatsOf(s.far)
	if len(far) == 0 {
		far = []store.TierStats{store.NewTierStats("far")}
	}
	far[0].Hits, far[0].Misses = int64(st.FarHits), int64(st.Misses)
	return append(tiers, far...)
}

// counter counts what happens on all processors at once, in places that lie so far apart that
// processors do not wait for each other.
type counter struct {
	places [16]struct {
		n atomic.Uint64
		_ [56]byte
	}
}

// add counts in the place that the address of the caller's stack selects: goroutines that run at
// the same time seldom share one.
func (c *counter) add() {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here)) >> 11) // the least stack is 2 KiB
	c.places[address*0x9e3779b97f4a7c15>>60].n.Add(1)
}

func (c *counter) sum() (n uint64) {
	for i := range c.places {
		n += c.places[i].n.Load()
	}
	return n
}
