// Package invalidation holds what one process knows of the invalidations in a journal, and what
// they mean for an entry.
package invalidation

// Coverage says what the invalidations that came after an entry mean for it. Of two, the greater
// counts: max combines them.
type Coverage uint8

const (
	CoverageNone Coverage = iota // no invalidation covers the entry
	CoverageSoft                 // a soft one does: the entry counts as stale
	CoverageHard                 // a hard one does: the entry must not be used
)

// String returns "none", "soft" or "hard".
func (c Coverage) String() string {
	switch c {
	case CoverageNone:
		return "none"
	case CoverageSoft:
		return "soft"
	}
	return "hard"
}

// newer returns the coverage of a hard and a soft mark, by their numbers, for what was filled at
// the number fill.
func newer(hard, soft, fill uint64) Coverage {
	switch {
	case hard > fill:
		return CoverageHard
	case soft > fill:
		return CoverageSoft
	}
	return CoverageNone
}
